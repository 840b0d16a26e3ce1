"""Finds the images of a data set on disk, and where the label of each lies."""

import os
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from gluon_madapt.config import Data
from gluon_madapt.data.file_types import IMAGE_SUFFIXES, LeftOut, is_image, why_not_read
from gluon_madapt.data.listing import files_below, is_hidden
from gluon_madapt.errors import UserError

LAYOUTS = {
    "gta5": "images/*.png and labels/*.png",
    "synthia": "RGB/*.png and GT/LABELS/*.png",
    "cityscapes": "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png (and, where labels are needed, gtFine likewise)",
    "folder": "images (" + ", ".join(IMAGE_SUFFIXES) + ") in it or in folders below it; labels, if needed, in a "
    "folder of the same form",
}
# (width, height) of nearly all images of the published data sets; a few of GTA5 differ.
PUBLISHED_SIZES = {"gta5": (1914, 1052), "synthia": (1280, 760), "cityscapes": (2048, 1024)}
# Images of their splits (P §3.1).
PUBLISHED_COUNTS = {
    ("gta5", "train"): 24966,
    ("synthia", "train"): 9400,
    ("cityscapes", "train"): 2975,
    ("cityscapes", "val"): 500,
}


class Sample(NamedTuple):
    """An image: its name (its path relative to the folder of images), its path, and the path of its label, if any."""

    name: str
    image: Path
    label: Optional[Path]


class Listing(NamedTuple):
    """The samples of a data set, and the files among its images that are no samples."""

    samples: List[Sample]
    left_out: LeftOut


class _Layout(NamedTuple):
    """The folder of the images, how their names end and how deep they lie (None: any depth); the same of labels."""

    images: Path
    image_suffix: str
    depth: Optional[int]
    labels: Optional[Path]
    label_suffix: str


def find_samples(data: Data) -> List[Sample]:
    """List the samples of a data set in the order of their names; labels are named whether they are there or not."""
    return find(data).samples


def find(data: Data) -> Listing:
    """List the samples of a data set as `find_samples` does, and other files that may be meant as samples.

    The case of letters in the file type does not matter: ``.PNG`` is ``.png``.

    Raises
    ------
    UserError
        If an image would be its own label, or could have one of two; or as `files_below`.
    """
    layout = _layout_of(data)
    samples, others = _split(files_below(layout.images, without=_labels_inside(layout)), layout)
    if layout.labels and (_lies_in(layout.labels, layout.images) or _lies_in(layout.images, layout.labels)):
        samples, others = _without_labels(samples, others, layout)
    left_out = LeftOut()
    for path in others:
        left_out.add(path, _why_not(path, layout))
    return Listing(samples, left_out)


def _split(paths: List[Path], layout: _Layout) -> Tuple[List[Sample], List[Path]]:
    """Return the samples among files, in their order, and the files that are none."""
    samples: List[Sample] = []
    others: List[Path] = []
    labels: Dict[Path, _Labels] = {}
    # Folder by folder: `relative_to` of each of tens of thousands of paths would take longer than all the rest.
    for folder, images in groupby(paths, key=attrgetter("parent")):
        place = folder.relative_to(layout.images)
        has_samples = layout.depth in (None, len(place.parts) + 1)
        prefix = f"{place.as_posix()}/" if place.parts else ""
        if place not in labels:
            labels[place] = _Labels(layout, place)
        for path in images:
            if has_samples and _ends(path.name, layout.image_suffix) and is_image(path):
                samples.append(Sample(prefix + path.name, path, labels[place].of(path)))
            else:
                others.append(path)
    return samples, others


def _without_labels(samples: List[Sample], others: List[Path], layout: _Layout) -> Tuple[List[Sample], List[Path]]:
    """Return samples and other files without those that are labels of samples, where both lie in one folder."""
    plain = _Plain()
    own = [sample.label is not None and plain(sample.label) == plain(sample.image) for sample in samples]
    labels = {plain(sample.label) for sample, is_own in zip(samples, own) if sample.label and not is_own}
    labels |= {plain(sample.image) for sample in samples if _is_named_as_label(sample.image, layout)}
    _refuse_own_labels([sample for sample, is_own in zip(samples, own) if is_own and plain(sample.image) not in labels])
    kept = [sample for sample in samples if plain(sample.image) not in labels]
    return kept, [path for path in others if plain(path) not in labels]


def orphaned_labels(data: Data) -> List[Path]:
    """Return the label files of a dataset, in its own layout, that belong to no image."""
    layout = _layout_of(data)
    if not layout.labels:
        return []
    samples = find_samples(data)
    plain = _Plain()
    known = {plain(path) for sample in samples for path in (sample.label, sample.image) if path}
    there = (path for path in files_below(layout.labels) if _ends(path.name, layout.label_suffix))
    return [path for path in there if plain(path) not in known and _fits_depth(path, layout.labels, layout.depth)]


def _layout_of(data: Data) -> _Layout:
    root = Path(data.root)
    if data.dataset == "gta5":
        return _Layout(root / "images", ".png", 1, root / "labels", ".png")
    if data.dataset == "synthia":
        return _Layout(root / "RGB", ".png", 1, root / "GT" / "LABELS", ".png")
    if data.dataset == "cityscapes":
        images, labels = (root / kind / data.split for kind in ("leftImg8bit", "gtFine"))
        return _Layout(images, "_leftImg8bit.png", 2, labels, "_gtFine_labelIds.png")
    return _Layout(root, data.image_suffix, None, Path(data.labels) if data.labels else None, data.label_suffix)


def _is_named_as_label(path: Path, layout: _Layout) -> bool:
    """Tell whether a file that ends as images do ends as labels do, which says more."""
    longer = len(layout.label_suffix) > len(layout.image_suffix or path.suffix)
    return longer and _ends(path.name, layout.label_suffix)


def _why_not(path: Path, layout: _Layout) -> str:
    if not is_image(path):
        return why_not_read(path)
    if not _ends(path.name, layout.image_suffix):
        return f"images that are not named *{layout.image_suffix}"
    return "images in folders where this data set has none"


def _fits_depth(path: Path, root: Path, depth: Optional[int]) -> bool:
    return depth is None or len(path.relative_to(root).parts) == depth


def _ends(name: str, suffix: str) -> bool:
    return _folded(name).endswith(_folded(suffix))


def _folded(name: str) -> str:
    """Return a name with its file type in small letters."""
    stem, dot, kind = name.rpartition(".")
    return f"{stem}{dot}{kind.lower()}" if dot else name


class _Labels:
    """Finds the labels of the images in a folder, whatever the case of their file type; ``place`` is that folder."""

    def __init__(self, layout: _Layout, place: Path):
        self._layout = layout
        self._folder = layout.labels and layout.labels / place
        self._names: Dict[str, List[str]] = {}
        if self._folder:
            for name in sorted(_names_in(self._folder)):
                self._names.setdefault(_folded(name), []).append(name)

    def of(self, image: Path) -> Optional[Path]:
        if not self._folder:
            return None
        stem = image.name[: -len(self._layout.image_suffix or image.suffix)]
        name = f"{stem}{self._layout.label_suffix}"
        first, *more = (self._folder / name for name in self._names.get(_folded(name), [name]))
        if more:
            raise UserError(f"{first} and {more[0]}: either could be the label of {image}: remove one of them")
        return first


def _names_in(folder: Path) -> Iterator[str]:
    try:
        return (name for name in os.listdir(folder) if not is_hidden(name))  # noqa: PTH208 - names alone
    except OSError:  # labels may not be needed; where they are, a missing one is named
        return iter(())


def _refuse_own_labels(samples: List[Sample]) -> None:
    if samples:
        raise UserError(
            f"{samples[0].image}: would be its own label ({len(samples)} such in all), as labels lie among images: "
            "set image_suffix and label_suffix to how their names end"
        )


def _labels_inside(layout: _Layout) -> Optional[Path]:
    """Return the folder of the labels if it lies in that of the images, and is not that itself."""
    if layout.labels and _lies_in(layout.labels, layout.images) and not _lies_in(layout.images, layout.labels):
        return layout.labels
    return None


def _lies_in(folder: Path, other: Path) -> bool:
    real = Path(os.path.realpath(other))
    return real in (Path(os.path.realpath(folder)), *Path(os.path.realpath(folder)).parents)


class _Plain:
    """Returns a path without links in its folder, to compare it with others; each folder is looked up once."""

    def __init__(self) -> None:
        self._real: Dict[Path, Path] = {}

    def __call__(self, path: Path) -> Path:
        folder = path.parent
        if folder not in self._real:
            self._real[folder] = Path(os.path.realpath(folder))
        return self._real[folder] / path.name
