"""Examines the images and labels of a data set."""

from collections import Counter
from typing import Iterator, Optional, Sequence

import numpy as np

from gluon_madapt.data import Dataset
from gluon_madapt.data.file_types import few
from gluon_madapt.data.layouts import PUBLISHED_COUNTS, PUBLISHED_SIZES, orphaned_labels
from gluon_madapt.data.mix_ups import train_ids_in
from gluon_madapt.doctor.findings import ERROR, OK, WARNING, Finding
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE
from gluon_madapt.runs.input_checks import set_warnings, shared_with_val
from gluon_madapt.stages import Run
from gluon_madapt.system.threads import in_threads

# How many samples are read where not all of them are, spread evenly over the data set.
_SAMPLED = 40
# How many broken files are named.
_NAMED = 3


def examine_images(run: Run, which: str, full: bool) -> Iterator[Finding]:
    """Look at the source, target or val images: how many there are, whether they can be read, and their labels.

    Labels of the target are not looked at: no stage reads them.
    """
    what = f"data.{which}"
    data = getattr(run.experiment.data, which)
    if data is None:
        yield Finding(WARNING, what, "not set: nothing can be scored")
        return
    labelled = which != "target"
    dataset = run.dataset(which, labelled)
    expected = PUBLISHED_COUNTS.get((data.dataset, data.split))
    text = f"{data.root}: {len(dataset)} {'pairs' if labelled else 'images'} of {data.dataset} {data.split}"
    if expected and len(dataset) + len(dataset.skipped) != expected:
        yield Finding(WARNING, what, f"{text}; the published data set has {expected}")
    else:
        yield Finding(OK, what, text)
    if dataset.skipped:
        named = few(list(dataset.skipped))
        yield Finding(
            WARNING, what, f"{len(dataset.skipped)} pairs are left out, image and label differ in size: {named}"
        )
    orphans = orphaned_labels(data) if labelled else []
    if orphans:
        yield Finding(WARNING, what, f"{len(orphans)} labels have no image: {few(orphans)}")
    for text in set_warnings(run, which):
        yield Finding(WARNING, what, text)
    for other in ("source", "target") if which == "val" else ():
        for text in shared_with_val(run, other):
            yield Finding(WARNING, what, text)
    yield from _read(run, what, dataset, labelled, full, PUBLISHED_SIZES.get(data.dataset))


def _read(run: Run, what: str, dataset: Dataset, labelled: bool, full: bool, usual) -> Iterator[Finding]:
    """Read images and labels, and say what they hold."""
    number = len(dataset) if full else min(_SAMPLED, len(dataset))
    places = np.linspace(0, len(dataset) - 1, number).round().astype(int).tolist()
    threads = run.experiment.data.threads
    seen = list(in_threads(lambda index: _Seen(dataset, index, labelled), places, threads, ahead=2 * threads))
    broken = [str(one.error) for one in seen if one.error]
    read = f"{'all' if full else 'a sample of'} {number} read"
    if broken:
        more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        yield Finding(ERROR, what, f"{read}, {len(broken)} of them broken: {'; '.join(broken[:_NAMED])}{more}")
    sizes = Counter(one.size for one in seen if one.size)
    if sizes:
        text = ", ".join(f"{width}x{height} ({count})" for (width, height), count in sizes.most_common(_NAMED))
        other = " and others" if len(sizes) > _NAMED else ""
        level = WARNING if usual and any(size != usual for size in sizes) else OK
        note = f"; the published images are {usual[0]}x{usual[1]}" if level == WARNING else ""
        yield Finding(level, what, f"{read}: {text}{other}{note}")
    suspicion = train_ids_in(run.experiment, what.split(".")[1], dataset) if labelled else None
    if suspicion:
        yield Finding(ERROR if suspicion.certain else WARNING, what, suspicion.text)
    if labelled and sizes:
        pixels = np.sum([one.pixels for one in seen if one.pixels is not None], axis=0)
        yield from _classes(what, run.classes.names, pixels, full)


def _classes(what: str, names: Sequence[str], pixels: np.ndarray, full: bool) -> Iterator[Finding]:
    labelled = int(pixels[: len(names)].sum())
    if not labelled:
        yield Finding(ERROR, what, f"no pixel of its labels is of any of the {len(names)} classes")
        return
    absent = [name for name, count in zip(names, pixels) if not count]
    text = f"labels: {labelled / pixels.sum():.0%} of the pixels are of the {len(names)} classes"
    if absent:
        text += f"; none there of {', '.join(absent)}"
    if absent and full:
        text += (
            ", which cannot be learnt" if what == "data.source" else ": a mIoU counts those alone that are predicted"
        )
    yield Finding(WARNING if absent and full else OK, what, text)


class _Seen:
    """What was seen of a sample: its size, the pixels of each train id, or the error that it cannot be read by."""

    def __init__(self, dataset: Dataset, index: int, labelled: bool):
        self.size = self.pixels = None
        self.error: Optional[UserError] = None
        try:
            height, width = dataset.image(index).shape[:2]
            if labelled:
                label = dataset.label(index)
                if label.shape != (height, width):
                    other = f"{label.shape[1]}x{label.shape[0]}"
                    raise UserError(f"{dataset.samples[index].image}: is {width}x{height}, its label {other}")
                self.pixels = np.bincount(label.ravel(), minlength=IGNORE + 1)
            self.size = (width, height)
        except UserError as error:
            self.error = error
