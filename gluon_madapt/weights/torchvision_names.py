"""Renames the parameters of torchvision's resnet101 and vgg16 to GluonCV's names."""

from typing import Dict, Tuple

import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.weights.imagenet import CLASSIFIERS, parameter_shapes
from gluon_madapt.weights.matching import differences, listed

# The dense layers of VGG16, which GluonCV counts on from the convolutions.
_DENSE = {"features.31": "classifier.0", "features.33": "classifier.3", "output": "classifier.6"}
# Batch norm's scale and shift; PyTorch has the names of a convolution's parameters for them.
_BATCH_NORM = {"gamma": "weight", "beta": "bias"}
_COUNTER = "num_batches_tracked"


def torchvision_name(key: str) -> str:
    """Return torchvision's name of the parameter that GluonCV calls ``key``."""
    layer, kind = key.rsplit(".", 1)
    return f"{_DENSE.get(layer, layer)}.{_BATCH_NORM.get(kind, kind)}"


def convert(encoder: str, tensors: Dict[str, np.ndarray], where: str) -> Tuple[Dict[str, np.ndarray], int]:
    """Rename the parameters of a torchvision classifier.

    Parameters
    ----------
    encoder : str
        "resnet101" or "vgg16".
    tensors : dict of str to numpy.ndarray
        The classifier's state, under torchvision's names.
    where : str
        What an error names as the place of the tensors.

    Returns
    -------
    tuple
        The parameters under GluonCV's structured names, float32, each as it was; and how many counters of batches,
        which have no counterpart, were left out.

    Raises
    ------
    UserError
        If the tensors are not exactly the classifier's, or if a value would not be the same in float32.
    """
    counters = {key for key in tensors if key.endswith(f".{_COUNTER}") and _sibling(key, "running_mean") in tensors}
    kept = {key: value for key, value in tensors.items() if key not in counters}
    problem = differences(_expected(encoder), _shapes(kept))
    if problem:
        raise UserError(f"{where}: is not torchvision's {encoder}{_hint(encoder, kept)}: {problem}")
    inexact = [key for key, value in sorted(kept.items()) if not _is_exact(value)]
    if inexact:
        raise UserError(
            f"{where}: {len(inexact)} tensors hold values that are not finite, or not the same in float32: "
            f"{listed(inexact)}"
        )
    converted = {key: kept[torchvision_name(key)].astype(np.float32, copy=False) for key in parameter_shapes(encoder)}
    return converted, len(counters)


def _expected(encoder: str) -> Dict[str, Tuple[int, ...]]:
    return {torchvision_name(key): shape for key, shape in parameter_shapes(encoder).items()}


def _shapes(tensors: Dict[str, np.ndarray]) -> Dict[str, Tuple[int, ...]]:
    return {key: value.shape for key, value in tensors.items()}


def _sibling(key: str, name: str) -> str:
    return f"{key.rsplit('.', 1)[0]}.{name}"


def _hint(encoder: str, tensors: Dict[str, np.ndarray]) -> str:
    for other in CLASSIFIERS:
        if other != encoder and not differences(_expected(other), _shapes(tensors)):
            return f" but its {other} (--encoder {other})"
    return ""


def _is_exact(value: np.ndarray) -> bool:
    """Tell whether every value is a finite float that float32 holds exactly, as it does all of float16."""
    if value.dtype.kind != "f":
        return False
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        narrow = value.astype(np.float32, copy=False)
    return bool(np.isfinite(narrow).all()) and (value.dtype.itemsize <= 4 or np.array_equal(narrow, value))
