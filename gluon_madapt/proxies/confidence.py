"""Combines the discriminators' maps into the adversarial confidence of each pixel (P §2.3)."""

from typing import Sequence

import numpy as np

from gluon_madapt.system.compiled import compiled


def adversarial_confidence(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Combine the discriminators' maps of one image.

    Parameters
    ----------
    maps : sequence of np.ndarray
        One or two (H, W) maps of the probability of "source", at the size of the image.

    Returns
    -------
    np.ndarray
        (H, W) float32 in [0, 1]: the mean of the maps, each normalised to its own minimum and maximum; a constant map
        counts as 0.

    Raises
    ------
    ValueError
        If there is no map, the shapes differ, or a value is not finite.
    """
    if not maps:
        raise ValueError("adversarial confidence needs the map of at least one discriminator")
    total = np.zeros(maps[0].shape, dtype=np.float32)
    for source_map in maps:
        if source_map.shape != total.shape:
            raise ValueError(f"discriminator maps differ in shape: {source_map.shape} and {total.shape}")
        values = np.ascontiguousarray(source_map, dtype=np.float32)
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("a discriminator map holds values that are not finite")
        if low < high:
            _add_normalized(values.ravel(), low, high - low, total.ravel())
    total /= np.float32(len(maps))
    return total


@compiled
def _add_normalized(values, low, span, total):
    for x in range(values.shape[0]):
        total[x] += (values[x] - low) / span
