"""Loading weights that were made elsewhere into the segmenter."""

import hashlib
import logging
from pathlib import Path
from typing import Dict

from mxnet import nd
from mxnet.base import MXNetError

from gluon_madapt.errors import UserError

_log = logging.getLogger(__name__)

# What of an ImageNet classifier the segmenter has no use for: the classification layers after the encoder.
_HEADS = {"resnet101": ("fc.",), "vgg16": ("features.33.", "output.")}
_FC6, _FC6_CONVOLUTION = "features.31.", (4096, 512, 7, 7)


def read_parameters(path: Path) -> Dict[str, nd.NDArray]:
    """Read a Gluon parameter file: structured names, or exported with "arg:" and "aux:" before each name."""
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights: see pretrained/README.md for where to get it")
    try:
        arrays = nd.load(str(path))
    except (MXNetError, ValueError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{path}: is no complete MXNet parameter file ({reason})") from None
    if not isinstance(arrays, dict) or not arrays:
        raise UserError(f"{path}: holds no named parameters: expected a file written by Gluon's save_parameters")
    return {key.split(":", 1)[-1]: value for key, value in arrays.items()}


def load_released(net, path: Path) -> None:
    """Load a whole segmenter, such as a released checkpoint; every parameter must be there and none left over."""
    params = net._collect_params_with_prefix()
    _assign(params, read_parameters(path), path)


def load_imagenet(net, path: Path) -> None:
    """Load ImageNet weights of the same network, as GluonCV saves them, into the encoder.

    VGG16's first fully connected layer, fc6, becomes the 7x7 convolution.

    Raises
    ------
    UserError
        If a parameter of the encoder is missing, of another shape, or something unknown is left over.
    """
    if net.encoder_name not in _HEADS:
        raise UserError(f"model.weights = {path}: there are no ImageNet weights for encoder {net.encoder_name}")
    stored = read_parameters(path)
    heads = _HEADS[net.encoder_name]
    stored = {key: value for key, value in stored.items() if not key.startswith(heads)}
    fc6 = _FC6 + "weight"
    if net.encoder_name == "vgg16" and fc6 in stored:
        stored[fc6] = stored[fc6].reshape(_FC6_CONVOLUTION)
    params = net._collect_params_with_prefix()
    decoder = ("merge1.", "merge2.", "merge3.", "final.", "classifier.")
    encoder = {key: param for key, param in params.items() if not key.startswith(decoder)}
    _assign(encoder, stored, path)


def _assign(params: Dict, stored: Dict[str, nd.NDArray], path: Path) -> None:
    missing = sorted(set(params) - set(stored))
    surplus = sorted(set(stored) - set(params))
    shapes = [
        f"{key} has shape {stored[key].shape}, expected {params[key].shape}"
        for key in sorted(set(params) & set(stored))
        if stored[key].shape != params[key].shape
    ]
    problems = []
    if missing:
        problems.append(f"missing {_listed(missing)}")
    if surplus:
        problems.append(f"not of this network {_listed(surplus)}")
    if shapes:
        problems.append(_listed(shapes))
    if problems:
        raise UserError(f"{path}: does not fit this network: {'; '.join(problems)}")
    for key, param in params.items():
        param.set_data(stored[key])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _log.info("%d tensors loaded from %s (SHA-256 %s)", len(params), path, digest)


def _listed(items, limit: int = 5) -> str:
    shown = ", ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"
