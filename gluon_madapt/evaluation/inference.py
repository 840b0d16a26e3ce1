"""Computes class probabilities of images, single- or multi-scale (P §3, released code)."""

import math
from typing import Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.models.bilinear import resize_like
from gluon_madapt.upsampling import probability_blocks


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
    copies = [block.copy() for block in mean_probability_blocks(net, image, scales, mirror, size)]
    return nd.array(np.concatenate(copies, axis=1)[None], ctx=image.context)


def mean_probability_blocks(
    net, image: nd.NDArray, scales: Sequence[float], mirror: bool, size: Optional[Tuple[int, int]] = None
) -> Iterator[np.ndarray]:
    """Yield what `predict_probabilities` returns as blocks of rows, (L, rows, width), each valid until the next."""
    width, height = size or image.shape[:1:-1]
    copies = _scores(net, image, scales, mirror)
    streams = [probability_blocks(logits, height, width) for logits, _ in copies]
    for blocks in zip(*streams):
        upright = [block[:, :, ::-1] if mirrored else block for block, (_, mirrored) in zip(blocks, copies)]
        total = upright[0].copy()
        for block in upright[1:]:
            total += block
        total /= np.float32(len(copies))
        yield total


def _scores(net, image: nd.NDArray, scales: Sequence[float], mirror: bool) -> List[Tuple[np.ndarray, bool]]:
    """Return class scores at a quarter of the size of each copy, (L, h, w), and whether the copy is mirrored."""
    height, width = image.shape[2:]
    copies = []
    for scale in scales:
        rows, columns = half_up(height * scale), half_up(width * scale)
        scaled = image
        if (rows, columns) != (height, width):
            scaled = resize_like(nd, image, nd.empty((1, 1, rows, columns), ctx=image.context))
        for mirrored in (False, True) if mirror else (False,):
            with mx.autograd.predict_mode():
                logits = net.quarter(nd.flip(scaled, axis=3) if mirrored else scaled)[0]
            copies.append((logits[0].asnumpy(), mirrored))
    return copies


def half_up(value: float) -> int:
    """Round the length of a scaled side as the released code does, to 1 at least."""
    return max(1, math.floor(value + 0.5))
