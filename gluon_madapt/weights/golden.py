"""The weights behind the golden files: every tensor is a function of its key and shape alone.

The archives hold, for these weights, what the authors' released evaluation network returns: ``input_seed`` of
RandomState(...).standard_normal((1, 3, H, W)); ``logits`` [:, :, ::4, ::4] at input size; ``feature``
[:, ::4, ::2, ::2] at 1/4; ``c3``, the spatial mean of the map at 1/16; ``multi_scale`` [:, :, ::4, ::4], probabilities
averaged over scales 0.7, 1.0 and 1.3, each with its mirror.
"""

import zlib
from typing import Tuple

import numpy as np


def golden_weight(key: str, shape: Tuple[int, ...]) -> np.ndarray:
    """Return the tensor of a key of the released networks, float32 of that shape."""
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    kind = key.rsplit(".", 1)[-1]
    if kind == "weight":
        value = rng.standard_normal(shape) * np.sqrt(1.0 / np.prod(shape[1:]))
    elif kind == "gamma":
        value = 1 + 0.1 * rng.standard_normal(shape)
    elif kind == "running_var":
        value = 1 + 0.2 * rng.uniform(size=shape)
    else:
        value = 0.1 * rng.standard_normal(shape)
    return value.astype("float32")
