"""Selects what stage 3 labels, the target images that can be read, and their true labels for an audit."""

import logging
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from gluon_madapt.data import Dataset, proxy_path
from gluon_madapt.data.fingerprints import Fingerprint
from gluon_madapt.errors import UserError
from gluon_madapt.names import check_lengths
from gluon_madapt.proxy_maps.auditing import Truth
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.run import Run

_log = logging.getLogger(__name__)


def readable_target(run: Run) -> Tuple[Dataset, Sequence[str]]:
    """Return the target images, and the names of those that are left out because they cannot be read."""
    target = run.dataset("target", labelled=False)
    if run.experiment.data.on_error == "stop":
        return target, ()
    left_out = target.unreadable(run.experiment.data.threads)
    if len(left_out) == len(target):
        raise UserError(f"{run.experiment.data.target.root}: none of its {len(target)} images can be read")
    return target.without(left_out), left_out


def truth_of(run: Run, target: Dataset) -> Tuple[Truth, Fingerprint]:
    """Return what reads the true labels of target images, for an audit alone, and their fingerprint."""
    labelled = run.dataset("target", labelled=True)
    check_inputs(run, "target", labelled, labelled=True)
    places = {sample.name: index for index, sample in enumerate(labelled.samples)}

    def read(index: int) -> Optional[np.ndarray]:
        name = target.samples[index].name
        if name not in places:
            return None
        try:
            return labelled.label(places[name])
        except UserError as error:
            if run.experiment.data.on_error == "stop":
                raise
            _log.warning("%s: left out of the audit", error)
            return None

    return read, labelled.fingerprint


def check_names(target: Dataset, folder: Path) -> None:
    """Refuse two images whose proxies would be one file, and names that are too long for a folder."""
    seen: Dict[Path, str] = {}
    for sample in target.samples:
        path = proxy_path(Path(), sample.name)
        if path in seen:
            raise UserError(
                f"{seen[path]} and {sample.name}: their proxy labels would both be {path}: rename one of them"
            )
        seen[path] = sample.name
    check_lengths(folder, map(str, seen))
