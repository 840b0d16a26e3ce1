"""Finds what was probably mixed up: labels among images, images that two data sets share."""

import hashlib
import random
import re
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np
from PIL import Image

from gluon_madapt.data.image_files import NOT_AN_IMAGE
from gluon_madapt.data.layouts import Sample

# Words in the names of folders that data sets keep labels in.
_LABEL_WORDS = re.compile(
    r"label(s|id|ids|map|maps)?|gt|gtfine|gtcoarse|groundtruth|truth|(train|val|test)?annot(s|ations?)?|masks?|"
    r"segmentation(s|class|object|maps?|classaug|classraw)?|seg|semantics?"
)
# Images whose headers are looked at, and how many of the suspects are decoded.
_LOOKED_AT, _DECODED = 60, 12
# Modes of Pillow that labels have, and few photographs.
_ONE_CHANNEL = ("1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L")
# A label map has fewer values; a photograph, even a grey one, has more.
_MOST_VALUES = 64
# Of a file's content, what tells whether it is another's: this many pieces, spread evenly, of so many bytes.
_PIECES, _PIECE = 16, 4096


def labels_among(samples: Sequence[Sample]) -> List[Path]:
    """Return images, of a sample of them, that look like labels: few values, in one channel or a folder of labels."""
    chosen = random.Random(0)  # noqa: S311 - the same each time, and in step with no order of names
    looked_at = chosen.sample(range(len(samples)), min(_LOOKED_AT, len(samples)))
    in_label_folders = [place for place, one in enumerate(samples) if _is_of_labels(one.name)]
    suspects = [place for place in looked_at if _has_one_channel(samples[place].image)]
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
        found = ((path, known.get(_pieces_of(path, size))) for path in by_size[size])
        pairs += [(path, other) for path, other in found if other]
    return sorted(pairs)


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
    found: Dict[int, Set[Path]] = {}
    for sample in samples:
        try:
            size = sample.image.stat().st_size
        except OSError:
            continue
        if size:
            found.setdefault(size, set()).add(sample.image)
    return found


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
