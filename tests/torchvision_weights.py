"""Weights for torchvision's networks: every tensor is a function of its key and shape alone.

The archives tests/golden/torchvision_*.npz hold what torchvision's networks return for these weights, and the lists
torchvision_*_keys.txt their keys and shapes; tests/make_torchvision_golden.py wrote both.
"""

import zlib

import numpy as np

# Samples of the encoders' maps c1 to c4, which fit an archive of some hundred kilobytes.
SAMPLE = (slice(None), slice(None, None, 8), slice(None, None, 2), slice(None, None, 2))


def torchvision_weight(key, shape):
    """Return one tensor: activations stay near 1, batch norm's four parameters all matter."""
    if key.endswith("num_batches_tracked"):
        return np.array(7, dtype="int64")
    random = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    # Bytes: VGG16 has 138 million weights, and normal numbers would take seconds.
    noise = np.frombuffer(random.bytes(int(np.prod(shape))), dtype="uint8").reshape(shape).astype("float32")
    noise = (noise - 127.5) / 73.9  # mean 0, variance 1
    if len(shape) > 1:
        return noise * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if key.endswith("running_var"):
        return 0.6 + 0.2 * noise  # 0.25 to 0.95: small enough for epsilon to show
    if key.endswith("bn3.weight"):
        return 0.1 + 0.02 * noise  # the end of a residual branch: 33 of them add up
    if key.endswith("weight"):
        return 0.8 + 0.1 * noise
    return 0.1 * noise


def torchvision_state(shapes):
    """Return all tensors of a network, given their shapes by key."""
    return {key: torchvision_weight(key, shape) for key, shape in shapes.items()}


def golden_image(height, width):
    return np.random.RandomState(height).standard_normal((1, 3, height, width)).astype("float32")
