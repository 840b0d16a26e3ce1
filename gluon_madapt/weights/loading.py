"""Loads weights that were made elsewhere into the segmenter, strictly: every parameter is accounted for."""

import logging
import zipfile
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple, Union

import numpy as np
from mxnet import nd
from mxnet.gluon import Parameter

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models.encoders import ENCODERS
from gluon_madapt.models.segmenter import Segmenter
from gluon_madapt.weights.gluon_files import NoParameterFileError, read_arrays
from gluon_madapt.weights.imagenet import CLASSIFIERS, parameter_shapes, recognize, require_classifier, structured_names
from gluon_madapt.weights.matching import Shapes, differences, listed

_log = logging.getLogger(__name__)

_FC6 = "features.31.weight"
_CLASSIFIER_BIAS = "classifier.b1.bias"


def read_parameters(path: Path) -> Dict[str, nd.NDArray]:
    """Read a Gluon parameter file: structured names, or exported with "arg:" and "aux:" before each name."""
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights: see pretrained/README.md for where to get it")
    try:
        arrays = read_arrays(path)
    except NoParameterFileError as error:
        raise UserError(f"{path}: is no complete MXNet parameter file{_kind(path)} ({error})") from None
    if not arrays:
        raise UserError(f"{path}: holds no named parameters: expected a file written by Gluon's save_parameters")
    return {key.split(":", 1)[-1]: nd.array(value, dtype=value.dtype) for key, value in arrays.items()}


def load_released(net: Segmenter, path: Path) -> None:
    """Load a whole segmenter, such as a released checkpoint; every parameter must be there and none left over."""
    params = net._collect_params_with_prefix()
    stored = read_parameters(path)
    problem = differences(_shapes(params), _shapes(stored))
    if problem:
        raise UserError(f"{path}: does not fit this network{_mistaken_for_this(net, stored)}: {problem}")
    _assign(params, stored, path)


def recognize_segmenter(path: Path) -> Tuple[str, int]:
    """Return the encoder and the number of classes of the segmenter in a parameter file.

    Raises
    ------
    UserError
        If there is no such file, or it is of no segmenter of this project.
    """
    segmenter = _segmenter_of(read_parameters(path))
    if segmenter is None:
        raise UserError(f"{path}: holds no segmenter: expected a checkpoint of this project, or a released one")
    return segmenter


def load_imagenet(net: Segmenter, path: Path) -> None:
    """Load ImageNet weights into the encoder.

    Parameters
    ----------
    net : Segmenter
        Its encoder is "resnet101" or "vgg16"; all of the encoder's parameters are replaced.
    path : Path
        A file of GluonCV's classifier of that name, whose head is left out; or of the encoder alone, under the
        segmenter's names.  VGG16's first fully connected layer, fc6, becomes the 7x7 convolution, unless it is one.

    Raises
    ------
    UserError
        If there is no such file, or if it holds anything else than exactly these parameters.
    """
    require_classifier(net.encoder_name, path)
    read = read_parameters(path)
    stored = structured_names(net.encoder_name, read)
    shapes, encoder = parameter_shapes(net.encoder_name), _encoder_parameters(net)
    if _FC6 in stored and stored[_FC6].shape == shapes.get(_FC6):
        stored[_FC6] = stored[_FC6].reshape(encoder[_FC6].shape)
    head = {key: shape for key, shape in shapes.items() if key not in encoder}
    expected = _shapes(encoder)
    if not head.keys().isdisjoint(stored):
        expected.update(head)
    problem = differences(expected, _shapes(stored))
    if problem:
        hint = _mistaken_for(net.encoder_name, read)
        name = CLASSIFIERS[net.encoder_name].__name__
        raise UserError(f"{path}: does not hold the parameters of {name} and no others{hint}: {problem}")
    _assign(encoder, stored, path)
    left_out = sorted(head.keys() & stored.keys())
    if left_out:
        _log.info("of the classifier's head, which no encoder has, %d left out: %s", len(left_out), listed(left_out))


def _encoder_parameters(net: Segmenter) -> Dict[str, Parameter]:
    stages = tuple(f"{name}." for name in net.encode.stages)
    return {key: param for key, param in net._collect_params_with_prefix().items() if key.startswith(stages)}


def _shapes(named: Mapping[str, Union[Parameter, nd.NDArray]]) -> Shapes:
    return {key: value.shape for key, value in named.items()}


def _assign(params: Dict[str, Parameter], stored: Dict[str, nd.NDArray], path: Path) -> None:
    # A parameter file carries no checksum, so damage may show in its values alone.
    damaged = [key for key in sorted(params) if not np.isfinite(stored[key].asnumpy()).all()]
    if damaged:
        raise UserError(f"{path}: {len(damaged)} tensors hold values that are not finite numbers ({listed(damaged)})")
    for key, param in params.items():
        param.set_data(stored[key])
    _log.info("%d tensors loaded from %s (SHA-256 %s)", len(params), path, sha256(path))


def _kind(path: Path) -> str:
    if path.suffix in {".pth", ".pt", ".safetensors"}:
        return " but one of PyTorch: convert it with tools/convert_pretrained.py"
    return " but an archive, as checkpoints of this project are" if zipfile.is_zipfile(path) else ""


def _segmenter_of(stored: Dict[str, nd.NDArray]) -> Optional[Tuple[str, int]]:
    """Return the encoder and the number of classes of the segmenter that the parameters are of, or None."""
    if _CLASSIFIER_BIAS in stored:
        classes = stored[_CLASSIFIER_BIAS].shape[0]
        for encoder in ENCODERS:
            if Segmenter(encoder, classes)._collect_params_with_prefix().keys() == stored.keys():
                return encoder, classes
    return None


def _mistaken_for_this(net: Segmenter, stored: Dict[str, nd.NDArray]) -> str:
    """Say of what other segmenter the parameters are: of another encoder or number of classes."""
    segmenter = _segmenter_of(stored)
    if segmenter is None or segmenter == (net.encoder_name, net.num_classes):
        return ""
    encoder, classes = segmenter
    return (
        f", of encoder {net.encoder_name} and {net.num_classes} classes, "
        f"but one of encoder {encoder} and {classes} classes"
    )


def _mistaken_for(encoder: str, stored: Dict[str, nd.NDArray]) -> str:
    recognized = recognize(stored)
    if recognized and recognized != encoder:
        return f" but those of {recognized} (model.encoder is {encoder})"
    if any(key.startswith("merge1.") for key in stored):
        return " but those of a whole segmenter (for --checkpoint or --from)"
    return ""
