"""Opens data sets: GTA5, SYNTHIA, Cityscapes, plain folders, and target images with their proxy labels."""

import logging
import zlib
from pathlib import Path
from typing import Callable, Collection, List, Optional, Tuple

import numpy as np

from gluon_madapt.config import Data
from gluon_madapt.data.file_cache import size_reader
from gluon_madapt.data.fingerprints import Fingerprint, fingerprint_of
from gluon_madapt.data.image_files import read_image
from gluon_madapt.data.label_files import read_label, read_train_ids
from gluon_madapt.data.layouts import LAYOUTS, Sample, find
from gluon_madapt.errors import UserError
from gluon_madapt.labels import KNOWN_IDS, LabelMap
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)


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
    mark : str
        Becomes a part of the fingerprint: it tells one meaning of one's own label ids from another.
    """

    def __init__(
        self,
        samples: List[Sample],
        decode: Callable[[Path], np.ndarray],
        skipped: Tuple[str, ...] = (),
        mark: str = "",
    ):
        self.samples = samples
        self.skipped = skipped
        self._decode = decode
        self._mark = mark

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def fingerprint(self) -> Fingerprint:
        """A short text that differs for other names or contents of images and labels, wherever they lie."""
        return fingerprint_of(self.samples, self._mark)

    def without(self, names: Collection[str]) -> "Dataset":
        """Return the dataset without some of its samples."""
        samples = [sample for sample in self.samples if sample.name not in names]
        return Dataset(samples, self._decode, self.skipped, self._mark)

    def unreadable(self, threads: int) -> Tuple[str, ...]:
        """Try to read every image; return the names of samples whose image cannot be read, and say why."""

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


def open_dataset(data: Data, labels: Optional[LabelMap] = None, keep_broken: bool = False) -> Dataset:
    """List the samples of a dataset in its own layout on disk.

    Parameters
    ----------
    data : Data
        The layout, where it lies, and the split: "train" or "val"; only Cityscapes has splits.
    labels : LabelMap, optional
        What label ids mean, if labels are needed.  Without, no label folder is looked at.
    keep_broken : bool
        Whether pairs of which a file cannot be read are kept, for the loader to replace; otherwise they are an error.

    Raises
    ------
    UserError
        If the folder is missing, empty or of another layout, or an image has no label.
    """
    root = Path(data.root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: expected {data.dataset}, that is {LAYOUTS[data.dataset]}")
    if data.dataset != "cityscapes" and data.split != "train":
        raise UserError(f"split {data.split} of {root}: dataset {data.dataset} has no splits: leave data's split out")
    samples, left_out = find(data)
    if not samples:
        expected = LAYOUTS[data.dataset] + (f", named *{data.image_suffix}" if data.image_suffix else "")
        expected += f"; left out: {left_out}" if str(left_out) else ""
        raise UserError(f"{root}: holds no images of {data.dataset} {data.split}: expected {expected}")
    if labels is None:
        return Dataset([sample._replace(label=None) for sample in samples], _refuse_to_read)
    _check_labels_exist(samples, data)
    samples, skipped = _leave_out_unequal_sizes(samples, data.dataset, keep_broken)
    return Dataset(samples, lambda path: read_label(path, labels), skipped, _mark_of(labels))


def _refuse_to_read(path: Path) -> np.ndarray:
    raise UserError(f"{path}: is a label, and this dataset was opened without")


def _mark_of(labels: LabelMap) -> str:
    """Return a short text that differs for another meaning of one's own label ids; those published have one."""
    if labels.dataset in KNOWN_IDS:
        return ""
    facts = (sorted(labels.train_ids.items()), labels.ignored, labels.in_colour)
    return f"{zlib.crc32(repr(facts).encode()):08x}"


def proxy_dataset(target: Dataset, folder: Path, num_classes: int) -> Dataset:
    """Pair the images of ``target`` with the proxy labels that stage 3 wrote to ``folder``."""
    samples = [sample._replace(label=proxy_path(folder, sample.name)) for sample in target.samples]
    missing = _without_label_file(samples)
    if missing:
        raise UserError(
            f"{missing[0].label}: missing, the proxy labels of {missing[0].name} ({len(missing)} in all): "
            "make them with tools/make_proxy.py"
        )
    return Dataset(samples, lambda path: read_train_ids(path, num_classes))


def proxy_path(folder: Path, name: str) -> Path:
    """Return where the proxy labels of the image called ``name`` lie: its relative path with the suffix .png."""
    return Path(folder) / Path(name).with_suffix(".png")


def _check_labels_exist(samples: List[Sample], data: Data) -> None:
    if samples[0].label is None:
        raise UserError(
            f"{data.root}: dataset folder, without the setting 'labels', has no labels, and labels are needed here"
        )
    images = {sample.label: sample.image for sample in samples}
    for sample in samples:
        if images[sample.label] != sample.image:
            raise UserError(
                f"{images[sample.label]} and {sample.image}: share one label, {sample.label}: rename one of them"
            )
    missing = _without_label_file(samples)
    if missing:
        raise UserError(f"{missing[0].image}: has no label, expected {missing[0].label} ({len(missing)} such in all)")


def _without_label_file(samples: List[Sample]) -> List[Sample]:
    return [sample for sample in samples if not (sample.label and sample.label.is_file())]


def _leave_out_unequal_sizes(
    samples: List[Sample], dataset: str, keep_broken: bool
) -> Tuple[List[Sample], Tuple[str, ...]]:
    """Leave out pairs whose image and label differ in size: a few of the real GTA5 do; elsewhere it is an error."""
    kept: List[Sample] = []
    skipped: List[str] = []
    labels = [sample.label for sample in samples if sample.label]
    size_of = size_reader([path for sample, label in zip(samples, labels) for path in (sample.image, label)])
    for sample, label in zip(samples, labels):
        try:
            size, label_size = size_of(sample.image), size_of(label)
        except UserError:
            if not keep_broken:
                raise
            kept.append(sample)
            continue
        if size == label_size:
            kept.append(sample)
        elif dataset != "gta5":
            raise UserError(f"{sample.image}: is %dx%d, its label {label} %dx%d" % (*size, *label_size))
        else:
            skipped.append(sample.name)
            _log.warning("%s skipped: the image is %dx%d, its label %dx%d", sample.image, *size, *label_size)
    if not kept:
        raise UserError(f"{samples[0].image}: differs in size from its label, as all {len(samples)} pairs do")
    if skipped:
        _log.warning("%d of %d pairs skipped, since image and label differ in size", len(skipped), len(samples))
    return kept, tuple(skipped)
