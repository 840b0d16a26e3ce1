"""Finds what was probably mixed up: labels among images, images in two data sets, train ids in place of label ids."""

import hashlib
import logging
import random
import re
from contextlib import closing
from pathlib import Path
from typing import Dict, Generator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
from PIL import Image

from gluon_madapt.config import Experiment
from gluon_madapt.data.datasets import Dataset
from gluon_madapt.data.image_headers import NOT_AN_IMAGE
from gluon_madapt.data.label_files import read_label_ids
from gluon_madapt.data.label_maps import label_map_of
from gluon_madapt.data.layouts import Sample
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE, class_set
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)

# Words in the names of folders that data sets keep labels in.
_LABEL_WORDS = re.compile(
    r"label(s|id|ids|map|maps)?|gt|gtfine|gtcoarse|groundtruth|truth|(train|val|test)?annot(s|ations?)?|masks?|"
    r"segmentation(s|class|object|maps?|classaug|classraw)?|seg|semantics?"
)
# Images whose headers are looked at, and how many of the suspects are decoded.
_HEADERS_READ, _DECODED = 60, 12
# Modes of Pillow that labels have, and few photographs.
_ONE_CHANNEL = ("1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L")
# A label map has fewer values; a photograph, even a grey one, has more.
_MOST_VALUES = 64
# Of a file's content, what tells whether it is another's: this many pieces, spread evenly, of so many bytes.
_PIECES, _PIECE = 16, 4096
# Data sets that store Cityscapes' label ids.  SYNTHIA's own are told by their format: nobody writes train ids in it.
_OF_CITYSCAPES = ("cityscapes", "gta5")
_HIGHEST = len(class_set(19)) - 1
# Label ids up to the highest train id that are of no class; 0 is left out, since any label may be of nothing.
_OF_NO_CLASS = set(range(1, _HIGHEST + 1)) - set(class_set(19).label_ids["cityscapes"])
# Label files, spread over the split, that are read first: of label ids, one is nearly always enough.
_READ_FIRST = 8
# Files of one folder.
_MANY = 4


class Suspicion(NamedTuple):
    """A message on labels that hold no id above the train ids; ``certain`` if some of their ids are no class's."""

    text: str
    certain: bool


def labels_among(samples: Sequence[Sample]) -> List[Path]:
    """Return images, of a sample of them, that look like labels: few values, in one channel or a folder of labels."""
    chosen = random.Random(0)  # noqa: S311 - the same each time, and in step with no order of names
    candidates = chosen.sample(range(len(samples)), min(_HEADERS_READ, len(samples)))
    in_label_folders = [place for place, sample in enumerate(samples) if _is_of_labels(sample.name)]
    suspects = [place for place in candidates if _has_one_channel(samples[place].image)]
    suspects += chosen.sample(in_label_folders, min(_DECODED, len(in_label_folders)))
    suspects = sorted(set(suspects))
    suspects = sorted(chosen.sample(suspects, min(_DECODED, len(suspects))))
    return [samples[place].image for place in suspects if _has_few_values(samples[place].image)]


def shared_images(samples: Sequence[Sample], others: Sequence[Sample]) -> List[Tuple[Path, Path]]:
    """Return pairs of images of two data sets that are the same: one file, or files of one size and content.

    Of the content of files of equal size, 64 KiB are compared; no others are opened.
    """
    by_size, other_sizes = _by_size(samples), _by_size(others)
    pairs = []
    for size in sorted(set(by_size) & set(other_sizes)):
        known = {_pieces_of(path, size): path for path in other_sizes[size]}
        twins = ((path, known.get(_pieces_of(path, size))) for path in by_size[size])
        pairs += [(path, twin) for path, twin in twins if twin]
    return sorted(pairs)


def train_ids_in(experiment: Experiment, which: str, dataset: Dataset) -> Optional[Suspicion]:
    """Find out whether the source, target or val labels hold train ids where label ids are expected.

    Each folder is looked at by itself, since those who convert labels may have stopped in the middle.  Its files are
    read until a label id appears that is no train id, mostly in the first one.  Files that cannot be read are passed
    over.
    """
    if label_map_of(experiment, which).dataset not in _OF_CITYSCAPES:
        return None
    folders: Dict[Path, List[Path]] = {}
    for sample in dataset.samples:
        if sample.label:
            folders.setdefault(sample.label.parent, []).append(sample.label)
    seen = {folder: _train_ids_of(paths, experiment.data.threads) for folder, paths in folders.items()}
    found = {folder: ids for folder, ids in seen.items() if ids}
    if not found:
        return None
    data = getattr(experiment.data, which)
    everywhere = None not in seen.values()
    # A few labels of a tunnel, among folders that are as they should be, may do without sky, trees and cars.
    certain = any(ids & _OF_NO_CLASS and (everywhere or len(folders[name]) >= _MANY) for name, ids in found.items())
    where = data.root if everywhere else ", ".join(map(str, found))
    number = sum(len(folders[folder]) for folder in found)
    text = (
        f"{where}: its labels {'hold' if certain else 'may hold'} train ids in place of label ids: in all {number} "
        f"files no id but {IGNORE} is above {_HIGHEST}, and label ids go up to 33: take the labels of {data.dataset} "
        f"as published, or name these as a data set 'folder' with data.{which}.ids {{road: [0], ...}}"
    )
    return Suspicion(text, certain)


def _train_ids_of(paths: Sequence[Path], threads: int) -> Optional[Set[int]]:
    """Return the ids in files, but for 0, if all of them are train ids; None if one is not."""
    seen: Set[int] = set()
    with closing(_ids_in(paths, threads)) as files:
        for ids in files:
            seen |= ids - {0, IGNORE}
            if max(seen, default=0) > _HIGHEST:
                return None
    return seen


def refuse_train_ids(experiment: Experiment, which: str, dataset: Dataset) -> None:
    """Raise a `UserError` if labels hold train ids in place of label ids; warn if they may."""
    suspicion = train_ids_in(experiment, which, dataset)
    if suspicion and suspicion.certain:
        raise UserError(suspicion.text)
    if suspicion:
        _log.warning("%s", suspicion.text)


def _is_of_labels(name: str) -> bool:
    folders = name.lower().split("/")[:-1]
    return any(_LABEL_WORDS.fullmatch(word) for folder in set(folders) for word in re.split(r"[^a-z]+", folder))


def _has_one_channel(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode in _ONE_CHANNEL and image.format != "JPEG"
    except NOT_AN_IMAGE:  # which is said where it is read
        return False


def _has_few_values(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return len(np.unique(np.asarray(image))) <= _MOST_VALUES
            return image.getcolors(_MOST_VALUES) is not None
    except NOT_AN_IMAGE:
        return False


def _by_size(samples: Sequence[Sample]) -> Dict[int, Set[Path]]:
    """Return the images by the sizes of their files, those without any content left out."""
    images: Dict[int, Set[Path]] = {}
    for sample in samples:
        try:
            size = sample.image.stat().st_size
        except OSError:
            continue
        if size:
            images.setdefault(size, set()).add(sample.image)
    return images


def _pieces_of(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for place in np.linspace(0, max(0, size - _PIECE), _PIECES).astype(int).tolist():
                file.seek(place)
                digest.update(file.read(_PIECE))
    except OSError:
        return str(path)
    return digest.hexdigest()


def _ids_in(paths: Sequence[Path], threads: int) -> Generator[Set[int], None, None]:
    """Yield the ids in each file: first in a few that are spread evenly, one by one, then in all others."""
    first = paths[:: -(-len(paths) // _READ_FIRST)]
    yield from map(_ids_of, first)
    with closing(in_threads(_ids_of, sorted({*paths} - {*first}), threads, ahead=2 * threads)) as others:
        yield from others


def _ids_of(path: Path) -> Set[int]:
    try:
        return set(np.flatnonzero(np.bincount(read_label_ids(path).ravel())).tolist())
    except UserError:
        return set()
