"""The thresholds t1 and t2: exact order statistics over all pixels of all images (P §2.3).

Nothing is sorted and nothing is sampled.  The bits of float32 numbers that are not negative order like the numbers, so
a histogram over the upper 16 bits finds the bin of the wanted value, and in a second scan a histogram over the lower
16 bits of what lies in that bin finds the value itself.  Memory does not depend on the number of images.
"""

from decimal import Decimal
from typing import Iterable, List, NamedTuple, Tuple

import numpy as np

_BITS = 16
_FINE_BINS = 1 << _BITS
# Scores are at most 1.0, and so are the upper bits of their patterns.
_COARSE_BINS = (int(np.float32(1).view(np.uint32)) >> _BITS) + 1


class Thresholds(NamedTuple):
    """What `compute_thresholds` found.

    Attributes
    ----------
    t1 : np.float32
        A pixel is looked at only if its adversarial confidence is above this.
    t2 : np.ndarray
        (L,) float32; a pixel becomes a proxy of class l only if its probability is above t2[l].
    pixels : int
        Pixels of all images.
    focused : np.ndarray
        (L,) int64; pixels above t1 by the class of their largest probability.
    """

    t1: np.float32
    t2: np.ndarray
    pixels: int
    focused: np.ndarray


def compute_thresholds(images: Iterable[Tuple[np.ndarray, np.ndarray]], p1: float, p2: float) -> Thresholds:
    """Find t1 and t2.

    Parameters
    ----------
    images : re-iterable of (probabilities, confidence)
        For each image the class probabilities (L, H, W) and the adversarial confidence (H, W), float32; iterated over
        four times.
    p1 : float
        The share of all pixels to keep by adversarial confidence.
    p2 : float
        The share to keep of each class's remaining pixels, by classification confidence.

    Returns
    -------
    Thresholds
        Of N sorted scores floor(p N) are kept, p being the decimal number that is written: the threshold is the
        (N - floor(p N))-th smallest, or the next number below the smallest if all are kept.  A class with no pixel has
        t2 = 1.

    Raises
    ------
    ValueError
        If there is no image, or values are not finite or out of range; the message names the image's position.
    """
    t1, pixels = _confidence_threshold(images, p1)
    coarse = _count_scores(images, t1)
    focused = coarse.sum(axis=1)
    ranks = [_rank(int(count), p2) for count in focused]
    bins = np.array([_locate(counts, max(rank, 1)) if counts.any() else (-1, 0) for counts, rank in zip(coarse, ranks)])
    fine = _count_scores_within(images, t1, bins[:, 0])
    t2 = np.ones(len(focused), dtype=np.float32)
    for label in np.flatnonzero(focused):
        t2[label] = _value(bins[label, 0], fine[label], ranks[label], bins[label, 1])
    return Thresholds(t1, t2, pixels, focused)


def classify(probabilities: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return (class, score) of every pixel: arg-max and maximum of (L, H, W), the lowest class where there is a tie."""
    return probabilities.argmax(axis=0), probabilities.max(axis=0)


def _confidence_threshold(images, p1: float) -> Tuple[np.float32, int]:
    coarse = np.zeros(_COARSE_BINS, dtype=np.int64)
    for index, (_, confidence) in enumerate(images):
        coarse += np.bincount(_patterns(confidence, index) >> _BITS, minlength=_COARSE_BINS)
    pixels = int(coarse.sum())
    if not pixels:
        raise ValueError("there are no images to compute thresholds from")
    rank = _rank(pixels, p1)
    upper, below = _locate(coarse, max(rank, 1))
    fine = np.zeros(_FINE_BINS, dtype=np.int64)
    for index, (_, confidence) in enumerate(images):
        fine += _lower_bits(_patterns(confidence, index), upper)
    return _value(upper, fine, rank, below), pixels


def _count_scores(images, t1: np.float32) -> np.ndarray:
    counts: List[np.ndarray] = []
    for index, (probabilities, confidence) in enumerate(images):
        label, patterns = _focused(probabilities, confidence, t1, index)
        size = len(probabilities) * _COARSE_BINS
        counts.append(np.bincount(label * _COARSE_BINS + (patterns >> _BITS), minlength=size))
        if len(counts) > 1:
            counts = [counts[0] + counts[1]]
    return counts[0].reshape(-1, _COARSE_BINS)


def _count_scores_within(images, t1: np.float32, uppers: np.ndarray) -> np.ndarray:
    fine = np.zeros((len(uppers), _FINE_BINS), dtype=np.int64)
    for index, (probabilities, confidence) in enumerate(images):
        label, patterns = _focused(probabilities, confidence, t1, index)
        inside = (patterns >> _BITS) == uppers[label]
        place = label[inside] * _FINE_BINS + (patterns[inside] & (_FINE_BINS - 1))
        fine += np.bincount(place, minlength=fine.size).reshape(fine.shape)
    return fine


def _focused(probabilities, confidence, t1: np.float32, index: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return class and bit pattern of the score of each pixel above t1."""
    label, score = classify(probabilities)
    if not np.isfinite(probabilities).all() or not (score > 0).all():
        raise ValueError(f"image {index}: class probabilities must be finite, and the largest of each pixel positive")
    above = confidence > t1
    return label[above], _patterns(score[above], index)


def _patterns(values: np.ndarray, index: int) -> np.ndarray:
    # NaN fails the comparison; adding 0 turns -0 to 0, whose pattern would sort last.
    if values.dtype != np.float32 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"image {index}: confidence must be float32 from 0 to 1, and not NaN")
    return (values.ravel() + np.float32(0)).view(np.uint32).astype(np.int64)


def _lower_bits(patterns: np.ndarray, upper: int) -> np.ndarray:
    return np.bincount(patterns[(patterns >> _BITS) == upper] & (_FINE_BINS - 1), minlength=_FINE_BINS)


def _rank(count: int, share: float) -> int:
    """Return the rank, from 1, of the threshold among ``count`` sorted scores; 0 if all are kept."""
    return count - int(Decimal(repr(float(share))) * count)


def _locate(counts: np.ndarray, rank: int) -> Tuple[int, int]:
    """Return the bin that holds the value of ``rank``, and how many values lie in the bins before it."""
    cumulative = counts.cumsum()
    place = int(np.searchsorted(cumulative, rank))
    return place, int(cumulative[place] - counts[place])


def _value(upper: int, fine: np.ndarray, rank: int, below: int) -> np.float32:
    lower, _ = _locate(fine, max(rank, 1) - below)
    value = np.uint32((int(upper) << _BITS) | lower).view(np.float32)
    return value if rank else np.nextafter(value, np.float32(-np.inf))
