"""Traces the segmenter for images of one size, of operators that state their sizes."""

from typing import Tuple

import mxnet as mx
from mxnet import sym
from mxnet.gluon import nn


def sized_scores(net, images: mx.sym.Symbol) -> Tuple[mx.sym.Symbol, mx.sym.Symbol, mx.sym.Symbol]:
    """Return what a segmenter's ``quarter`` returns, logits, feature and mid-level map, of ``images`` of known shape.

    The operators have a counterpart in ONNX, and are known to what MXNet converts graphs with.
    """
    maps = net.encode(images)
    fused = maps[-1]
    for block, lower in zip((net.merge1, net.merge2, net.merge3), maps[-2::-1]):
        fused = resized(block.adapt1(fused), _size_of(lower)) + block.adapt2(lower)
    feature = net.final(fused)
    branches = (net.classifier.b1, net.classifier.b2, net.classifier.b3, net.classifier.b4)
    # As plain convolutions: the channels that they are padded with are for oneDNN.
    scores = [nn.Conv2D.hybrid_forward(one, sym, feature, one.weight.var(), one.bias.var()) for one in branches]
    return scores[0] + scores[1] + scores[2] + scores[3], feature, maps[-2]


def resized(maps: mx.sym.Symbol, size: Tuple[int, int]) -> mx.sym.Symbol:
    """Resize bilinearly, with aligned corners; MXNet's operator is slow to train with, but ONNX has the same."""
    return sym.contrib.BilinearResize2D(maps, height=size[0], width=size[1])


def _size_of(maps: mx.sym.Symbol) -> Tuple[int, int]:
    return maps.infer_shape()[1][0][2:]
