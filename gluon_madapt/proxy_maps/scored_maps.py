"""Computes class probabilities and adversarial confidence at an image's own size, from its stored maps."""

from typing import Iterator, List, NamedTuple

import numpy as np

from gluon_madapt.proxies import adversarial_confidence
from gluon_madapt.proxy_maps.cache import StoredMaps
from gluon_madapt.upsampling import probability_blocks, upsample


class ScoredBlock(NamedTuple):
    """Some rows of an image.

    Attributes
    ----------
    rows : slice
        Which ones.
    probabilities : np.ndarray
        Their class probabilities, (L, rows, W) float32; the array is used again for the block after it.
    confidence : np.ndarray
        Their adversarial confidence, (rows, W) float32.
    """

    rows: slice
    probabilities: np.ndarray
    confidence: np.ndarray


def confidence_of(maps: StoredMaps) -> np.ndarray:
    """Return the adversarial confidence of an image, (H, W) float32; 0 where there are no discriminators."""
    if not maps.discriminators:
        return np.zeros(maps.size, dtype=np.float32)
    return adversarial_confidence([upsample(one[None], *maps.size)[0] for one in maps.discriminators])


def confidence_of_each(maps: StoredMaps) -> List[np.ndarray]:
    """Return the adversarial confidence of an image by each discriminator alone, (H, W) float32."""
    return [confidence_of(maps._replace(discriminators=[one])) for one in maps.discriminators]


def scored_blocks(maps: StoredMaps) -> Iterator[ScoredBlock]:
    """Yield an image in blocks of rows, from the top."""
    confidence, row = confidence_of(maps), 0
    for probabilities in probability_blocks(maps.logits, *maps.size):
        rows = slice(row, row + probabilities.shape[1])
        yield ScoredBlock(rows, probabilities, confidence[rows])
        row = rows.stop
