"""Turns what lies on disk into batches; nothing here knows of networks.

Open `datasets` first (which image has which label), then `loader` (batches).  `image_files` and `label_files` read,
`label_maps` says which train id a label id becomes, `transforms` resizes, crops and mirrors.
"""

from gluon_madapt.data.datasets import Dataset, open_dataset, proxy_dataset, proxy_path
from gluon_madapt.data.fingerprints import is_same
from gluon_madapt.data.label_maps import class_set_of, label_map_of
from gluon_madapt.data.layouts import Sample
from gluon_madapt.data.loader import Batch, Loader, every_batch
from gluon_madapt.data.transforms import normalize, resize_image

__all__ = [
    "Batch",
    "Dataset",
    "Loader",
    "Sample",
    "class_set_of",
    "every_batch",
    "is_same",
    "label_map_of",
    "normalize",
    "open_dataset",
    "proxy_dataset",
    "proxy_path",
    "resize_image",
]
