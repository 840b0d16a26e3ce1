"""What a file of parameters is said to be of: encoder, classes and their order, stage."""

import logging
from pathlib import Path
from typing import Any, Dict

import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.run_layout import CHECKPOINT, PARAMETERS
from gluon_madapt.training.checkpoint import read_checkpoint
from gluon_madapt.weights.gluon_files import description_beside, read_arrays

# Of a finished stage; once, nothing but the checkpoint beside it said of what it is.

_log = logging.getLogger(__name__)


def description_of_parameters(path: Path) -> Dict[str, Any]:
    """Return what `description_of` said of the network in a parameter file; nothing where nobody says it."""
    said = description_beside(path) or _description_in_checkpoint(path)
    if "class_names" not in said:
        _log.info("%s: does not say what its classes are: they are taken for those expected, in that order", path)
    return said


def _description_in_checkpoint(path: Path) -> Dict[str, Any]:
    """Return what the checkpoint beside a finished network says, if it is of the same one."""
    beside = path.with_name(CHECKPOINT)
    if path.name != PARAMETERS or not beside.is_file():
        return {}
    try:
        checkpoint = read_checkpoint(beside)
    except UserError:  # damaged
        return {}
    arrays = read_arrays(path)
    same = all(np.array_equal(value, checkpoint.arrays.get(f"segmenter/{key}")) for key, value in arrays.items())
    return checkpoint.meta if same else {}
