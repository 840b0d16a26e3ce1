"""GTA5, SYNTHIA, Cityscapes, plain folders and proxies: which image belongs to which label."""

import logging
import zlib
from pathlib import Path
from typing import Callable, Collection, List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_madapt.data.files import image_size, read_image, read_label, read_train_ids
from gluon_madapt.errors import UserError
from gluon_madapt.labels import ClassSet
from gluon_madapt.threads import in_threads

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_LAYOUTS = {
    "gta5": "images/*.png and labels/*.png",
    "synthia": "RGB/*.png and GT/LABELS/*.png",
    "cityscapes": "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png (and, where labels are needed, gtFine likewise)",
    "folder": "images (" + ", ".join(IMAGE_SUFFIXES) + ") in it or in folders below it",
}


class Sample(NamedTuple):
    """One image: its path, that of its label where there is one, and its name, the path relative to the images."""

    name: str
    image: Path
    label: Optional[Path]


class Dataset:
    """An ordered list of samples, and how to read them.

    Parameters
    ----------
    samples : list of Sample
        In the order of their names.
    decode : callable
        Label file -> (H, W) uint8 train ids.
    skipped : tuple of str
        Names of samples that were left out because image and label differ in size.
    """

    def __init__(self, samples: List[Sample], decode: Callable[[Path], np.ndarray], skipped: Tuple[str, ...] = ()):
        self.samples = samples
        self.skipped = skipped
        self._decode = decode

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def fingerprint(self) -> str:
        """A short text that differs for other images, told by names and file sizes, wherever they lie."""
        facts = (f"{sample.name} {_file_size(sample.image)}" for sample in self.samples)
        digest = zlib.crc32("\n".join(facts).encode())
        return f"{len(self)} images, {digest:08x}"

    def without(self, names: Collection[str]) -> "Dataset":
        """Return the dataset without some of its samples."""
        return Dataset([one for one in self.samples if one.name not in names], self._decode, self.skipped)

    def unreadable(self, threads: int) -> Tuple[str, ...]:
        """Return the names of samples whose image cannot be read, all of which are tried; say which and why."""

        def error_of(index: int) -> Optional[UserError]:
            try:
                self.image(index)
            except UserError as error:
                return error
            return None

        names = []
        errors = in_threads(error_of, range(len(self)), threads, ahead=2 * threads)
        for sample, error in zip(self.samples, errors):
            if error:
                _log.warning("%s: left out", error)
                names.append(sample.name)
        return tuple(names)

    def image(self, index: int) -> np.ndarray:
        """Read an image, (H, W, 3) uint8 RGB."""
        return read_image(self.samples[index].image)

    def label(self, index: int) -> np.ndarray:
        """Read the label of an image, (H, W) uint8 train ids, 255 where ignored."""
        sample = self.samples[index]
        if sample.label is None:
            raise UserError(f"{sample.image}: has no label, and labels are needed here")
        return self._decode(sample.label)


def open_dataset(
    dataset: str, root: Path, split: str, classes: ClassSet, labelled: bool, keep_broken: bool = False
) -> Dataset:
    """List the samples of a dataset in its own layout on disk.

    Parameters
    ----------
    dataset : str
        "gta5", "synthia", "cityscapes" or "folder" (images alone).
    root : Path
        The dataset's top folder.
    split : str
        "train" or "val"; only Cityscapes has splits.
    labelled : bool
        Whether labels are needed.  Without, no label folder is looked at.
    keep_broken : bool
        Whether pairs of which a file cannot be read are kept, for the loader to replace; otherwise they are an error.

    Raises
    ------
    UserError
        If the folder is missing, empty or of another layout, or an image has no label.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: expected {dataset}, that is {_LAYOUTS[dataset]}")
    if dataset != "cityscapes" and split != "train":
        raise UserError(f"split {split} of {root}: dataset {dataset} has no splits: leave data's split out")
    pairs = _FINDERS[dataset](root, split)
    if not pairs:
        raise UserError(f"{root}: holds no images of {dataset} {split}: expected {_LAYOUTS[dataset]}")
    samples = [Sample(name, image, label if labelled else None) for name, image, label in pairs]
    skipped: Tuple[str, ...] = ()
    if labelled:
        _check_labels_exist(samples, dataset)
        samples, skipped = _leave_out_unequal_sizes(samples, dataset, keep_broken)
    return Dataset(samples, lambda path: read_label(path, dataset, classes), skipped)


def orphaned_labels(dataset: str, root: str, split: str) -> List[Path]:
    """Return the label files of a dataset, in its own layout, that belong to no image."""
    folder, pattern = _LABELS[dataset]
    known = {sample.label for sample in _FINDERS[dataset](Path(root), split)}
    return sorted(set((Path(root) / folder.format(split=split)).glob(pattern)) - known)


def proxy_dataset(target: Dataset, folder: Path, num_classes: int) -> Dataset:
    """Pair the images of ``target`` with the proxy labels that stage 3 wrote to ``folder``."""
    samples = [Sample(one.name, one.image, proxy_path(folder, one.name)) for one in target.samples]
    missing = [one for one in samples if not one.label.is_file()]
    if missing:
        raise UserError(
            f"{missing[0].label}: missing, the proxy labels of {missing[0].name} ({len(missing)} in all): "
            "make them with tools/make_proxy.py"
        )
    return Dataset(samples, lambda path: read_train_ids(path, num_classes))


def proxy_path(folder: Path, name: str) -> Path:
    """Return where the proxy labels of the image called ``name`` lie: its relative path with the suffix .png."""
    return Path(folder) / Path(name).with_suffix(".png")


def _pairs_gta5(root: Path, split: str) -> List[Sample]:
    return [Sample(p.name, p, root / "labels" / p.name) for p in sorted((root / "images").glob("*.png"))]


def _pairs_synthia(root: Path, split: str) -> List[Sample]:
    return [Sample(p.name, p, root / "GT" / "LABELS" / p.name) for p in sorted((root / "RGB").glob("*.png"))]


def _pairs_cityscapes(root: Path, split: str) -> List[Sample]:
    images = root / "leftImg8bit" / split
    suffix = "_leftImg8bit.png"
    samples = []
    for path in sorted(images.glob("*/*" + suffix)):
        name = path.relative_to(images)
        label = root / "gtFine" / split / name.parent / (path.name[: -len(suffix)] + "_gtFine_labelIds.png")
        samples.append(Sample(name.as_posix(), path, label))
    return samples


def _pairs_folder(root: Path, split: str) -> List[Sample]:
    paths = (path for path in root.rglob("*") if is_image(path))
    return [Sample(path.relative_to(root).as_posix(), path, None) for path in sorted(paths)]


def is_image(path: Path) -> bool:
    """Tell whether a path is of an image, by its suffix."""
    # A link to nothing is listed as well: it is an error when it is read, rather than an image that is silently missed.
    return path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or path.is_symlink())


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


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


def _check_labels_exist(samples: List[Sample], dataset: str) -> None:
    if samples[0].label is None:
        raise UserError(f"dataset {dataset} has no labels, and labels are needed here")
    missing = [one for one in samples if not one.label.is_file()]
    if missing:
        raise UserError(f"{missing[0].image}: has no label, expected {missing[0].label} ({len(missing)} such in all)")


def _leave_out_unequal_sizes(
    samples: List[Sample], dataset: str, keep_broken: bool
) -> Tuple[List[Sample], Tuple[str, ...]]:
    """Leave out pairs whose image and label differ in size: a few of the real GTA5 do; elsewhere it is an error."""
    kept, skipped = [], []
    for sample in samples:
        try:
            size, label_size = image_size(sample.image), image_size(sample.label)
        except UserError:
            if not keep_broken:
                raise
            kept.append(sample)
            continue
        if size == label_size:
            kept.append(sample)
        elif dataset != "gta5":
            raise UserError(f"{sample.image}: is %dx%d, its label {sample.label} %dx%d" % (*size, *label_size))
        else:
            skipped.append(sample.name)
            _log.warning("%s skipped: the image is %dx%d, its label %dx%d", sample.image, *size, *label_size)
    if not kept:
        raise UserError(f"{samples[0].image}: differs in size from its label, as all {len(samples)} pairs do")
    if skipped:
        _log.warning("%d of %d pairs skipped, since image and label differ in size", len(skipped), len(samples))
    return kept, tuple(skipped)
