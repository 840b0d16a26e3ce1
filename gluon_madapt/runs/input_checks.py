"""Checks the images and labels of a stage before it begins: warns of what is odd, refuses what teaches nothing."""

import logging
from typing import Iterator, Sequence

from gluon_madapt.data import Dataset
from gluon_madapt.data.file_types import few
from gluon_madapt.data.layouts import find, find_samples
from gluon_madapt.data.mix_ups import labels_among, refuse_train_ids, shared_images
from gluon_madapt.errors import UserError
from gluon_madapt.runs.labelled_pixels import refuse_unlabelled
from gluon_madapt.runs.run import Run

_log = logging.getLogger(__name__)
_LEARNT = {"source": "was trained on", "target": "was adapted to"}


def check_inputs(run: Run, which: str, dataset: Dataset, labelled: bool = False, shared: Sequence[str] = ()) -> None:
    """Warn of what is odd about the source, target or val images; refuse labels that teach or score nothing.

    Parameters
    ----------
    run : Run
        The run.
    which : str
        "source", "target" or "val".
    dataset : Dataset
        Its images, and labels if these are to be looked at.
    labelled : bool
        Whether its labels are learnt from, or scored by.
    shared : sequence of str
        Sets beside ``which`` whose images val is not to share.

    Raises
    ------
    UserError
        If the labels hold train ids in place of label ids, or no pixel of any class.
    """
    if run.distributed.is_main:
        _warn_of_data(run, which, shared)
    if labelled:
        refuse_train_ids(run.experiment, which, dataset)
        refuse_unlabelled(run, which, dataset)


def set_warnings(run: Run, which: str) -> Iterator[str]:
    """Say of the source, target or val images which files were left out, and which look like labels."""
    data = getattr(run.experiment.data, which)
    try:
        samples, left_out = find(data) if data else ((), "")
    except UserError:  # where the set is opened, this is an error
        return
    if str(left_out):
        yield f"{data.root}: left out: {left_out}"
    labels = labels_among(samples)
    if labels:
        yield (
            f"{data.root}: some of its images look like labels ({few(labels)}): keep labels out of the folder of the "
            "images, or set image_suffix"
        )


def shared_with_val(run: Run, which: str) -> Iterator[str]:
    """Say which val images are source or target images as well; nothing where either set is not there."""
    val = run.experiment.data.val
    try:
        shared = shared_images(find_samples(val), find_samples(getattr(run.experiment.data, which))) if val else ()
    except UserError:
        return
    if shared:
        own, other = shared[0]
        named = f"{own}" if own == other else f"{own} is {other}"
        yield f"{len(shared)} images are {which} images, too ({named}): scores are of what the model {_LEARNT[which]}"


def _warn_of_data(run: Run, which: str, shared: Sequence[str]) -> None:
    for text in set_warnings(run, which):
        _log.warning("warning: data.%s: %s", which, text)
    for learnt in _LEARNT:
        for text in shared_with_val(run, learnt) if learnt in (which, *shared) else ():
            _log.warning("warning: data.val: %s", text)
