"""Chooses the proxies of an image (P Eq. 5)."""

from typing import NamedTuple

import numpy as np

from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies.pixels import reweigh
from gluon_madapt.proxies.thresholds import Thresholds, check_confidence


class Choice(NamedTuple):
    """What the two criteria say of each pixel.

    Attributes
    ----------
    best : np.ndarray
        l*, (H, W) int32.
    sure : np.ndarray
        Whether the classifier is sure of it: P(l*) > t2(l*), (H, W) bool.
    focused : np.ndarray
        Whether the discriminators are: A > t1, (H, W) bool.
    """

    best: np.ndarray
    sure: np.ndarray
    focused: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The proxy labels: (H, W) uint8 train ids, 255 where there is none."""
        return np.where(self.sure & self.focused, self.best.astype(np.uint8), np.uint8(IGNORE))


def label_image(probabilities: np.ndarray, confidence: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Label the pixels that both the classifier and the discriminators are sure of.

    Parameters
    ----------
    probabilities : np.ndarray
        Class probabilities, (L, H, W) float32.
    confidence : np.ndarray
        Adversarial confidence, (H, W) float32.
    thresholds : Thresholds
        From `compute_thresholds` over the whole target set.

    Returns
    -------
    np.ndarray
        (H, W) uint8: l* = argmax_l P(l) / t2(l) where P(l*) > t2(l*) and A > t1; 255 everywhere else.

    Raises
    ------
    ValueError
        If values are not finite or out of range, or shapes do not fit.
    """
    return choose(probabilities, confidence, thresholds).labels


def choose(probabilities: np.ndarray, confidence: np.ndarray, thresholds: Thresholds) -> Choice:
    """Say what each criterion says of every pixel; arguments and errors as in `label_image`."""
    check_confidence(confidence)
    if probabilities.shape[1:] != confidence.shape:
        raise ValueError(f"probabilities {probabilities.shape} and confidence {confidence.shape} differ in size")
    return Choice(*reweigh(probabilities, thresholds.t2), confidence > thresholds.t1)
