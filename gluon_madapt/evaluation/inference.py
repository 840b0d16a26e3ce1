"""Images -> class probabilities, single- or multi-scale (P §3, released code)."""

import math
from typing import Optional, Sequence, Tuple

import mxnet as mx
from mxnet import nd

from gluon_madapt.models.interpolation import resize_like


def predict_probabilities(
    net,
    image: nd.NDArray,
    scales: Sequence[float] = (0.7, 1.0, 1.3),
    mirror: bool = True,
    size: Optional[Tuple[int, int]] = None,
) -> nd.NDArray:
    """Return class probabilities, averaged over scales and mirrored copies.

    Each copy of the normalised image is resized bilinearly (aligned corners, sizes rounded half up); its class scores
    at a quarter of that size go to the output's size in one resize, then through softmax, and are mirrored back.

    Parameters
    ----------
    net : Segmenter
        The network.
    image : NDArray
        Normalised image, (1, 3, H, W) float32.
    scales : sequence of float
        Factors on the image's size.
    mirror : bool
        Whether each scale is also run on the mirrored image.
    size : (width, height), optional
        Size of the output; that of ``image`` by default.

    Returns
    -------
    NDArray
        (1, L, height, width) float32, summing to 1 over the classes.
    """
    height, width = image.shape[2:]
    output = image if size is None else nd.empty((1, 1, size[1], size[0]), ctx=image.context)
    total = None
    for scale in scales:
        rows, columns = _half_up(height * scale), _half_up(width * scale)
        scaled = image
        if (rows, columns) != (height, width):
            scaled = resize_like(nd, image, nd.empty((1, 1, rows, columns), ctx=image.context))
        for mirrored in (False, True) if mirror else (False,):
            probabilities = _probabilities(net, scaled, mirrored, output)
            total = probabilities if total is None else total + probabilities
            # One copy at a time: MXNet would queue them all and hold the memory of all.
            total.wait_to_read()
    return total / (len(scales) * (2 if mirror else 1))


def _probabilities(net, image: nd.NDArray, mirrored: bool, output: nd.NDArray) -> nd.NDArray:
    with mx.autograd.predict_mode():
        logits = net.quarter(nd.flip(image, axis=3) if mirrored else image)[0]
    probabilities = nd.softmax(resize_like(nd, logits, output), axis=1)
    return nd.flip(probabilities, axis=3) if mirrored else probabilities


def _half_up(value: float) -> int:
    return max(1, math.floor(value + 0.5))
