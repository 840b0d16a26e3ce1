"""Resizes maps of the network to the image's own size, bilinearly with aligned corners, a few rows at a time.

Whatever is read off class scores at an image's own size, in evaluation as in proxy selection, comes from here: the same
scores give the same probabilities, to the last bit.  `bilinear` states the same for graphs that are trained.

A map of 19 classes at 2048x1024 takes 160 MB, and several passes through memory; a block of its rows stays within the
caches of a core, and all is done on it before the next one is begun.
"""

from typing import Iterator, NamedTuple

import numpy as np

from gluon_madapt.system.compiled import compiled

# Of one block of probabilities: about what the second-level cache of a core holds.
_BLOCK_BYTES = 1 << 20


class _Axis(NamedTuple):
    """For each output position the two inputs it lies between, and their weights."""

    low: np.ndarray
    high: np.ndarray
    low_weight: np.ndarray
    high_weight: np.ndarray


def upsample(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize maps bilinearly, with aligned corners.

    Parameters
    ----------
    maps : np.ndarray
        (C, h, w) float32.
    height, width : int
        The size to come to.

    Returns
    -------
    np.ndarray
        (C, height, width) float32.
    """
    wide = _widened(maps, width)
    out = np.empty((len(maps), height, width), dtype=np.float32)
    _blend_rows(wide, *_axis(maps.shape[1], height), 0, out)
    return out


def probability_blocks(logits: np.ndarray, height: int, width: int) -> Iterator[np.ndarray]:
    """Resize class scores, and turn them to probabilities, block by block of rows from the top.

    Parameters
    ----------
    logits : np.ndarray
        Class scores, (L, h, w) float32.
    height, width : int
        The size to come to.

    Yields
    ------
    np.ndarray
        (L, rows, width) float32, the softmax over L; the array is used again for the block after it.
    """
    wide, rows = _widened(logits, width), _axis(logits.shape[1], height)
    classes, step = len(logits), block_rows(len(logits), width)
    buffer = np.empty(classes * step * width, dtype=np.float32)
    for begin in range(0, height, step):
        number = min(step, height - begin)
        block = buffer[: classes * number * width].reshape(classes, number, width)
        _blend_rows(wide, *rows, begin, block)
        _subtract_maximum(block)
        np.exp(block, out=block)
        _divide_by_sum(block)
        yield block


def block_rows(classes: int, width: int) -> int:
    """Return how many rows `probability_blocks` takes at a time."""
    return max(1, _BLOCK_BYTES // (4 * classes * width))


def _widened(maps: np.ndarray, width: int) -> np.ndarray:
    """Resize along the width alone: (C, h, w) to (C, h, width)."""
    if maps.ndim != 3 or maps.dtype != np.float32:
        raise ValueError(f"maps of shape {maps.shape} and type {maps.dtype}: expected (C, h, w) float32")
    wide = np.empty((*maps.shape[:2], width), dtype=np.float32)
    _blend_columns(np.ascontiguousarray(maps), *_axis(maps.shape[2], width), wide)
    return wide


def _axis(length: int, out: int) -> _Axis:
    """Return where the ``out`` positions of an axis sample its ``length`` inputs, as `interpolation_matrix` does."""
    one = np.float32(1)
    positions = np.arange(out, dtype=np.float32) * np.float32(length - 1) / np.float32(max(out - 1, 1))
    low = np.floor(positions)
    low_weight, high_weight = one - np.abs(positions - low), np.maximum(one - np.abs(positions - (low + one)), 0)
    low = low.astype(np.int64)
    return _Axis(low, np.minimum(low + 1, length - 1), low_weight, high_weight)


@compiled
def _blend_columns(maps, low, high, low_weight, high_weight, out):
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[c, y, x] = low_weight[x] * maps[c, y, low[x]] + high_weight[x] * maps[c, y, high[x]]


@compiled
def _blend_rows(wide, low, high, low_weight, high_weight, begin, out):
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            upper, lower, row = wide[c, low[begin + y]], wide[c, high[begin + y]], out[c, y]
            a, b = low_weight[begin + y], high_weight[begin + y]
            for x in range(row.shape[0]):
                row[x] = a * upper[x] + b * lower[x]


@compiled
def _subtract_maximum(block):
    classes, rows, width = block.shape
    largest = np.empty(width, dtype=np.float32)
    for y in range(rows):
        largest[:] = block[0, y]
        for c in range(1, classes):
            row = block[c, y]
            for x in range(width):
                largest[x] = row[x] if row[x] > largest[x] else largest[x]
        for c in range(classes):
            row = block[c, y]
            for x in range(width):
                row[x] -= largest[x]


@compiled
def _divide_by_sum(block):
    classes, rows, width = block.shape
    total = np.empty(width, dtype=np.float32)
    for y in range(rows):
        total[:] = 0
        for c in range(classes):
            row = block[c, y]
            for x in range(width):
                total[x] += row[x]
        for c in range(classes):
            row = block[c, y]
            for x in range(width):
                row[x] /= total[x]
