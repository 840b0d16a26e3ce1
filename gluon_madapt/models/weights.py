"""Loading weights that were made elsewhere into the segmenter."""

import hashlib
import logging
from pathlib import Path
from typing import Dict

from gluoncv.model_zoo.resnetv1b import resnet101_v1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet import nd
from mxnet.base import MXNetError

from gluon_madapt.errors import UserError

_log = logging.getLogger(__name__)

# The ImageNet classifiers whose files GluonCV's model zoo offers.
_CLASSIFIERS = {"resnet101": resnet101_v1b, "vgg16": vgg16}
_FC6, _FC6_CONVOLUTION = "features.31.weight", (4096, 512, 7, 7)


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
    """Load a GluonCV model file of the same network, trained on ImageNet, into the encoder.

    GluonCV reads the file, in either of the formats it has used, and sees to it that none of the classifier's
    parameters is missing or left over.  VGG16's first fully connected layer, fc6, becomes the 7x7 convolution; the
    layers after the encoder are dropped.

    Raises
    ------
    UserError
        If there is no such file, or it is not of this network.
    """
    if net.encoder_name not in _CLASSIFIERS:
        raise UserError(f"model.weights = {path}: there are no ImageNet weights for encoder {net.encoder_name}")
    if not path.is_file():
        raise UserError(f"model.weights = {path}: no such file: see pretrained/README.md for where to get it")
    classifier = _CLASSIFIERS[net.encoder_name](pretrained=False)
    try:
        classifier.load_parameters(str(path))
    except (MXNetError, AssertionError, ValueError, RuntimeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: is no complete file of GluonCV's {net.encoder_name} ({reason})") from None
    stored = {key: param.data() for key, param in classifier._collect_params_with_prefix().items()}
    decoder = ("merge1.", "merge2.", "merge3.", "final.", "classifier.")
    encoder = {key: param for key, param in net._collect_params_with_prefix().items() if not key.startswith(decoder)}
    if net.encoder_name == "vgg16":
        stored[_FC6] = stored[_FC6].reshape(_FC6_CONVOLUTION)
    _assign(encoder, {key: stored[key] for key in encoder}, path)


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
