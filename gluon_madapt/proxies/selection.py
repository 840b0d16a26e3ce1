"""Choosing the proxies of one image (P Eq. 5)."""

import numpy as np

from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies.thresholds import Thresholds


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
    """
    best = (probabilities / thresholds.t2[:, None, None]).argmax(axis=0)
    score = np.take_along_axis(probabilities, best[None], axis=0)[0]
    sure = (score > thresholds.t2[best]) & (confidence > thresholds.t1)
    return np.where(sure, best, IGNORE).astype(np.uint8)
