"""Computes the class and score of each pixel, and its class after the scores are divided by thresholds."""

from typing import Tuple

import numpy as np

from gluon_madapt.system.compiled import compiled

# Pixels at a time in the loops below: what is written for them stays in the first-level cache.
_CHUNK = 2048


def classify(probabilities: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return c and s of every pixel (P §2.3): the class of its largest probability, and that probability.

    Parameters
    ----------
    probabilities : np.ndarray
        (L, ...) float32, each from 0 to 1.

    Returns
    -------
    tuple of np.ndarray
        Class (...) int32, the lowest where there is a tie, and score (...) float32.

    Raises
    ------
    ValueError
        If a probability is not from 0 to 1, or all of a pixel are 0.
    """
    pixels = _flat(probabilities)
    label, score = np.empty(pixels.shape[1], dtype=np.int32), np.empty(pixels.shape[1], dtype=np.float32)
    if not _classify(pixels, label, score):
        raise ValueError("class probabilities must be finite, from 0 to 1, and the largest of each pixel positive")
    return label.reshape(probabilities.shape[1:]), score.reshape(probabilities.shape[1:])


def reweigh(probabilities: np.ndarray, t2: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return l* of every pixel, and whether the classifier is sure enough of it (P Eq. 5).

    Parameters
    ----------
    probabilities : np.ndarray
        (L, ...) float32, each from 0 to 1.
    t2 : np.ndarray
        (L,) float32, the threshold of each class.

    Returns
    -------
    tuple of np.ndarray
        l* = argmax_l P(l) / t2(l), (...) int32, the lowest class where there is a tie; and P(l*) > t2(l*), (...) bool.

    Raises
    ------
    ValueError
        As in `classify`; or if there are not as many thresholds as classes.
    """
    if t2.shape != probabilities.shape[:1]:
        raise ValueError(f"{len(probabilities)} class probabilities, but thresholds of shape {t2.shape}")
    pixels = _flat(probabilities)
    best, sure = np.empty(pixels.shape[1], dtype=np.int32), np.empty(pixels.shape[1], dtype=np.bool_)
    if not _reweigh(pixels, t2, best, sure):
        raise ValueError("class probabilities must be finite and from 0 to 1")
    return best.reshape(probabilities.shape[1:]), sure.reshape(probabilities.shape[1:])


def _flat(probabilities: np.ndarray) -> np.ndarray:
    if probabilities.dtype != np.float32:
        raise ValueError(f"class probabilities must be float32, not {probabilities.dtype}")
    return np.ascontiguousarray(probabilities).reshape(len(probabilities), -1)


@compiled
def _classify(pixels, label, score):
    valid = True
    for begin in range(0, pixels.shape[1], _CHUNK):
        labels, scores = label[begin : begin + _CHUNK], score[begin : begin + _CHUNK]
        labels[:] = 0
        scores[:] = -1
        for c in range(pixels.shape[0]):
            values = pixels[c, begin : begin + _CHUNK]
            for x in range(values.shape[0]):
                value = values[x]
                valid &= (value >= 0) & (value <= 1)  # NaN is neither
                better = value > scores[x]
                scores[x] = value if better else scores[x]
                labels[x] = c if better else labels[x]
        for x in range(scores.shape[0]):
            valid &= scores[x] > 0
    return valid


@compiled
def _reweigh(pixels, t2, best, sure):
    valid = True
    ratios = np.empty(_CHUNK, dtype=np.float32)
    for begin in range(0, pixels.shape[1], _CHUNK):
        labels, passes = best[begin : begin + _CHUNK], sure[begin : begin + _CHUNK]
        labels[:] = 0
        passes[:] = False
        ratios[:] = -1
        for c in range(pixels.shape[0]):
            values, threshold = pixels[c, begin : begin + _CHUNK], t2[c]
            for x in range(values.shape[0]):
                value = values[x]
                valid &= (value >= 0) & (value <= 1)
                ratio = value / threshold
                better = ratio > ratios[x]
                ratios[x] = ratio if better else ratios[x]
                labels[x] = c if better else labels[x]
                passes[x] = (value > threshold) if better else passes[x]
    return valid
