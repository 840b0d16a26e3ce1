"""Knows the ImageNet classifiers that the encoders are cut from: names and shapes of their parameters."""

from functools import lru_cache
from pathlib import Path
from typing import Dict, Optional, Tuple, TypeVar, Union

from gluoncv.model_zoo.resnetv1b import resnet101_v1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet import nd

from gluon_madapt.errors import UserError
from gluon_madapt.weights.matching import Shapes

CLASSIFIERS = {"resnet101": resnet101_v1b, "vgg16": vgg16}

_Value = TypeVar("_Value")


def require_classifier(encoder: str, weights: Union[str, Path]) -> None:
    """Raise a UserError if there are no ImageNet weights for this encoder."""
    if encoder not in CLASSIFIERS:
        raise UserError(f"model.weights = {weights}: there are no ImageNet weights for encoder {encoder}")


def parameter_shapes(encoder: str) -> Shapes:
    """Return the shape of every parameter of the classifier, its head included, by structured name."""
    return {key: shape for key, (_, shape) in _parameters(encoder).items()}


def structured_names(encoder: str, stored: Dict[str, _Value]) -> Dict[str, _Value]:
    """Rename what is stored under Gluon's older names, such as vgg0_conv0_weight, to structured ones.

    Older names are unique in the whole process rather than in their network, so a file may hold them behind any prefix.
    Files with structured names come back as they are, and so does what is not of this network.
    """
    if any("." in key for key in stored):
        return stored
    structured = {legacy: key for key, (legacy, _) in _parameters(encoder).items()}
    prefixes = {""} | {key[: place + 1] for key in stored for place, letter in enumerate(key) if letter == "_"}
    prefix = max(sorted(prefixes), key=lambda candidate: sum(candidate + legacy in stored for legacy in structured))
    names = {prefix + legacy: key for legacy, key in structured.items()}
    return {names.get(key, key): value for key, value in stored.items()}


def recognize(stored: Dict[str, object]) -> Optional[str]:
    """Return the encoder whose classifier has most of these names, or None."""
    for encoder in CLASSIFIERS:
        named = structured_names(encoder, stored).keys() & parameter_shapes(encoder).keys()
        if len(named) > 0.9 * len(stored):
            return encoder
    return None


@lru_cache(maxsize=None)
def _parameters(encoder: str) -> Dict[str, Tuple[str, Tuple[int, ...]]]:
    classifier = CLASSIFIERS[encoder](pretrained=False)
    classifier.infer_shape(nd.zeros((1, 3, 224, 224)))  # needs no memory for the parameters, unlike initialize
    params = classifier._collect_params_with_prefix()
    return {key: (param.name[len(classifier.prefix) :], param.shape) for key, param in params.items()}
