"""Traces the network as a graph for images of one size, of operators that ONNX has, too."""

from typing import Dict, NamedTuple

import mxnet as mx
import numpy as np
from mxnet import sym

from gluon_madapt.data.transforms import MEAN, STD
from gluon_madapt.models import Segmenter
from gluon_madapt.models.sized_graph import resized, sized_scores
from gluon_madapt.training.checkpoint import parameter_values


class FixedGraph(NamedTuple):
    """A graph and what it computes with.

    Attributes
    ----------
    outputs : mx.sym.Symbol
        The outputs "logits", (1, L, H, W) float32, "labels", (1, H, W) uint8, and "scores", the logits at a quarter of
        the size, of the input "image", (1, H, W, 3) uint8 RGB.
    keys : dict of str to str
        For each parameter of the graph its key in ``values``.
    values : dict of str to np.ndarray
        The parameters, float32, under the names that checkpoints use; and the constants of the normalisation.
    """

    outputs: mx.sym.Symbol
    keys: Dict[str, str]
    values: Dict[str, np.ndarray]


def fixed_graph(net: Segmenter, height: int, width: int) -> FixedGraph:
    """Trace a network for images of ``height`` x ``width``."""
    image = sym.var("image", shape=(1, height, width, 3), dtype="uint8")
    scores = sym.identity(sized_scores(net, _normalized(image))[0], name="scores")
    logits = sym.identity(resized(scores, (height, width)), name="logits")
    labels = sym.cast(sym.argmax(logits, axis=1), dtype="uint8", name="labels")
    keys = {param.name: key for key, param in net._collect_params_with_prefix().items()}
    constants = {"normalization.mean": MEAN.reshape(1, 3, 1, 1), "normalization.std": STD.reshape(1, 3, 1, 1)}
    keys.update({key: key for key in constants})
    return FixedGraph(sym.Group([logits, labels, scores]), keys, {**parameter_values(net), **constants})


def _normalized(image: mx.sym.Symbol) -> mx.sym.Symbol:
    """Do what `gluon_madapt.data.normalize` does, in the same order, so that it rounds alike."""
    mean, std = (sym.var(f"normalization.{name}", shape=(1, 3, 1, 1)) for name in ("mean", "std"))
    pixels = sym.transpose(sym.cast(image, dtype="float32"), axes=(0, 3, 1, 2))
    return sym.broadcast_div(sym.broadcast_sub(pixels / 255, mean), std)
