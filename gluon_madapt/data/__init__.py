"""What lies on disk -> batches.  Nothing here knows of networks."""

from gluon_madapt.data.datasets import Dataset, Sample, open_dataset, proxy_dataset, proxy_path
from gluon_madapt.data.loader import Batch, Loader, every_batch
from gluon_madapt.data.transforms import normalize, resize_image

__all__ = [
    "Batch",
    "Dataset",
    "Loader",
    "Sample",
    "every_batch",
    "normalize",
    "open_dataset",
    "proxy_dataset",
    "proxy_path",
    "resize_image",
]
