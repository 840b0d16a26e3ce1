"""The layouts of data sets on disk: which files are images, and where the label of each lies."""

from pathlib import Path
from typing import List, NamedTuple, Optional

from gluon_madapt.config import Data
from gluon_madapt.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
LAYOUTS = {
    "gta5": "images/*.png and labels/*.png",
    "synthia": "RGB/*.png and GT/LABELS/*.png",
    "cityscapes": "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png (and, where labels are needed, gtFine likewise)",
    "folder": "images (" + ", ".join(IMAGE_SUFFIXES) + ") in it or in folders below it; labels, if needed, in a "
    "folder of the same form",
}


class Sample(NamedTuple):
    """One image: its path, that of its label where there is one, and its name, the path relative to the images."""

    name: str
    image: Path
    label: Optional[Path]


def find_samples(data: Data) -> List[Sample]:
    """List the samples of a data set in the order of their names; labels are named whether they are there or not."""
    return _FINDERS[data.dataset](data)


def orphaned_labels(data: Data) -> List[Path]:
    """Return the label files of a dataset, in its own layout, that belong to no image."""
    known = {sample.label for sample in find_samples(data)}
    if data.dataset == "folder":
        there = Path(data.labels).rglob(f"*{data.label_suffix}") if data.labels else ()
    else:
        folder, pattern = _LABELS[data.dataset]
        there = (Path(data.root) / folder.format(split=data.split)).glob(pattern)
    return sorted(set(there) - known)


def _pairs_gta5(data: Data) -> List[Sample]:
    root = Path(data.root)
    return [Sample(p.name, p, root / "labels" / p.name) for p in sorted((root / "images").glob("*.png"))]


def _pairs_synthia(data: Data) -> List[Sample]:
    root = Path(data.root)
    return [Sample(p.name, p, root / "GT" / "LABELS" / p.name) for p in sorted((root / "RGB").glob("*.png"))]


def _pairs_cityscapes(data: Data) -> List[Sample]:
    images = Path(data.root) / "leftImg8bit" / data.split
    suffix = "_leftImg8bit.png"
    samples = []
    for path in sorted(images.glob("*/*" + suffix)):
        name = path.relative_to(images)
        folder = Path(data.root) / "gtFine" / data.split / name.parent
        samples.append(Sample(name.as_posix(), path, folder / (path.name[: -len(suffix)] + "_gtFine_labelIds.png")))
    return samples


def _pairs_folder(data: Data) -> List[Sample]:
    root, labels = Path(data.root), data.labels and Path(data.labels)
    if labels and root.resolve() in (labels.resolve(), *labels.resolve().parents):
        raise UserError(
            f"{labels}: the labels lie in {root}, and would be taken for images: name the folder of the images alone"
        )
    samples = []
    found = (path for path in root.rglob("*") if path.name.endswith(data.image_suffix) and is_image(path))
    for path in sorted(found):
        name = path.relative_to(root)
        stem = name.name[: -len(data.image_suffix or name.suffix)]
        label = labels / name.parent / f"{stem}{data.label_suffix}" if labels else None
        samples.append(Sample(name.as_posix(), path, label))
    return samples


def is_image(path: Path) -> bool:
    """Tell whether a path is of an image, by its suffix."""
    # A link to nothing is listed as well: it is an error when it is read, rather than an image that is silently missed.
    return path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or path.is_symlink())


_FINDERS = {
    "gta5": _pairs_gta5,
    "synthia": _pairs_synthia,
    "cityscapes": _pairs_cityscapes,
    "folder": _pairs_folder,
}


# Where the labels of a dataset lie below its root, and how they are called.
_LABELS = {
    "gta5": ("labels", "*.png"),
    "synthia": ("GT/LABELS", "*.png"),
    "cityscapes": ("gtFine/{split}", "*/*_gtFine_labelIds.png"),
}
