"""Stored maps -> class probabilities and adversarial confidence at the image's own size."""

from typing import Iterator, Tuple

import numpy as np

from gluon_madapt.models.upsampling import probability_blocks, upsample
from gluon_madapt.proxies import adversarial_confidence
from gluon_madapt.stages.map_cache import StoredMaps


def confidence_of(maps: StoredMaps) -> np.ndarray:
    """Return the adversarial confidence of an image, (H, W) float32; 0 where there are no discriminators."""
    if not maps.discriminators:
        return np.zeros(maps.size, dtype=np.float32)
    return adversarial_confidence([upsample(one[None], *maps.size)[0] for one in maps.discriminators])


def scored_blocks(maps: StoredMaps) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield class probabilities (L, rows, W) and adversarial confidence (rows, W) of an image, from the top.

    The array of the probabilities is used again for the block after it.
    """
    confidence, row = confidence_of(maps), 0
    for probabilities in probability_blocks(maps.logits, *maps.size):
        rows = probabilities.shape[1]
        yield probabilities, confidence[row : row + rows]
        row += rows
