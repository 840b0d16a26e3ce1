"""Tells labels that hold train ids from those that hold label ids, by what all the files of a split hold together."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Sequence, Set

import numpy as np

from gluon_madapt.config import Experiment
from gluon_madapt.data.classes import label_map_of
from gluon_madapt.data.datasets import Dataset
from gluon_madapt.data.label_files import read_label_ids
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE, class_set
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)

# Data sets that store Cityscapes' label ids.  SYNTHIA's own are told by their format: nobody writes train ids in it.
_OF_CITYSCAPES = ("cityscapes", "gta5")
_HIGHEST = len(class_set(19)) - 1
# Label ids up to the highest train id that are of no class; 0 is left out, since any label may be of nothing.
_OF_NO_CLASS = set(range(1, _HIGHEST + 1)) - set(class_set(19).label_ids["cityscapes"])
# Files, spread over the split, that are looked at first: of label ids, one is nearly always enough.
_LOOKED_AT = 8


class Suspicion(NamedTuple):
    """What is said of labels that hold no id above the train ids; ``certain`` if they hold others than classes' own."""

    text: str
    certain: bool


def train_ids_in(experiment: Experiment, which: str, dataset: Dataset) -> Optional[Suspicion]:
    """Look whether the source, target or val labels hold train ids where label ids are expected.

    Files are read only until one holds a label id that is no train id, which the first one mostly does.  Those that
    cannot be read are passed over.
    """
    if label_map_of(experiment, which).dataset not in _OF_CITYSCAPES:
        return None
    paths = [sample.label for sample in dataset.samples]
    found: Set[int] = set()
    with closing(_ids_in(paths, experiment.data.threads)) as files:
        for ids in files:
            found |= ids - {IGNORE}
            if max(found, default=0) > _HIGHEST:
                return None
    if not found - {0}:
        return None
    data = getattr(experiment.data, which)
    certain = bool(found & _OF_NO_CLASS)
    text = (
        f"{data.root}: its labels {'hold' if certain else 'may hold'} train ids in place of label ids: in all "
        f"{len(paths)} files no id but {IGNORE} is above {_HIGHEST}, and label ids go up to 33: take the labels of "
        f"{data.dataset} as published, or name these as a data set 'folder' with data.{which}.ids {{road: [0], ...}}"
    )
    return Suspicion(text, certain)


def refuse_train_ids(experiment: Experiment, which: str, dataset: Dataset) -> None:
    """Raise a `UserError` if labels hold train ids in place of label ids; warn if they may."""
    suspicion = train_ids_in(experiment, which, dataset)
    if suspicion and suspicion.certain:
        raise UserError(suspicion.text)
    if suspicion:
        _log.warning("%s", suspicion.text)


def _ids_in(paths: Sequence[Path], threads: int) -> Iterator[Set[int]]:
    """Yield the ids in each file: first in a few that are spread evenly, one by one, then in all others."""
    first = paths[:: -(-len(paths) // _LOOKED_AT)]
    yield from map(_ids_of, first)
    with closing(in_threads(_ids_of, sorted({*paths} - {*first}), threads, ahead=2 * threads)) as others:
        yield from others


def _ids_of(path: Path) -> Set[int]:
    try:
        return set(np.flatnonzero(np.bincount(read_label_ids(path).ravel())).tolist())
    except UserError:
        return set()
