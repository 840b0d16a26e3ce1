"""Refuses labels without a single labelled pixel: there is nothing to learn from, or to score."""

import itertools
import logging
from contextlib import closing
from typing import Collection, Optional, Set

import numpy as np

from gluon_madapt.data import Dataset, Loader
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE
from gluon_madapt.runs.run import Run
from gluon_madapt.system.threads import in_threads

# How many labels, spread over the set, are read first; nearly always the first of them suffices.
_SPREAD = 40
# For how many iterations, and epochs, random crops may miss all labelled pixels by chance.
_ITERATIONS, _EPOCHS = 100, 2

_log = logging.getLogger(__name__)


def refuse_unlabelled(run: Run, which: str, dataset: Dataset) -> None:
    """Refuse the labels of the source, target or val images if no pixel of any of them is of a class.

    Raises
    ------
    UserError
        As `check_labels`.
    """
    data = getattr(run.experiment.data, which)
    published = isinstance(run.experiment.classes, int) and data.dataset != "folder"
    listed = f"of {data.dataset}" if published else f"in classes, or in data.{which}.ids where that is set"
    check_labels(run, dataset, str(data.labels or data.root), f"expected the ids {listed}")


def check_labels(run: Run, dataset: Dataset, where: str, mend: str) -> None:
    """Refuse labels without a labelled pixel; warn if all labels that were read hold the same single class.

    Parameters
    ----------
    run : Run
        The run.
    dataset : Dataset
        The images and labels.
    where : str
        Where the labels lie, for messages.
    mend : str
        The cure, for the message.

    Raises
    ------
    UserError
        If all pixels are ignored.  Only then are all labels read; of most data sets, the first alone.
    """

    def classes_in(index: int) -> Optional[Collection[int]]:
        try:
            return np.flatnonzero(np.bincount(dataset.label(index).ravel(), minlength=IGNORE)[:IGNORE]).tolist()
        except UserError:  # the loader reports or replaces the sample when its turn comes
            return None

    number, threads = len(dataset), run.experiment.data.threads
    spread = np.unique(np.linspace(0, number - 1, min(number, _SPREAD)).round().astype(int)).tolist()
    others = (index for index in range(number) if index not in spread)
    seen: Set[int] = set()
    readable = 0
    with closing(in_threads(classes_in, itertools.chain(spread, others), threads, ahead=threads - 1)) as labels:
        for looked, classes in enumerate(labels, start=1):
            seen.update(classes or ())
            readable += classes is not None
            if len(seen) > 1:
                return
            if seen and looked >= len(spread):
                _log.warning("%s: all labels looked at hold one class, %s", where, run.classes.names[seen.pop()])
                return
            if looked == len(spread) < number:
                _log.warning("%s: %d labels, spread over all, hold no class: looking at the others", where, looked)
    if readable:
        raise UserError(f"{where}: no pixel of its {number} labels is of any of the {len(run.classes)} classes: {mend}")


def patience(loader: Loader) -> int:
    """Return for how many iterations in a row random crops may, by chance, hold no labelled pixel."""
    return max(_ITERATIONS, _EPOCHS * -(-len(loader.dataset) // loader.images_per_iteration))
