"""Counts right and wrong predictions by s and by A, and computes how well each tells them apart (P §2.3)."""

from threading import Lock
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np

from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies.logistic import fit_logistic
from gluon_madapt.proxies.pixels import classify
from gluon_madapt.proxies.thresholds import check_confidence
from gluon_madapt.system.compiled import compiled

# Of what `RocCounts.report` returns.
VERSION = 1
SCORE, CONFIDENCE, BOTH = "s", "A", "s and A"

# Scores are counted by the upper bits of their distance to 0 or 1, whichever is nearer, since many lie next to one of
# them: 64 bins for each halving of it, down to 2^-26.  Float32 numbers below 1 end 2^-24 before it.
_SHIFT = 23 - 6
_NEAREST = int(np.float32(2**-26).view(np.int32)) >> _SHIFT
_HALF = (int(np.float32(0.5).view(np.int32)) >> _SHIFT) - _NEAREST
BINS = 2 * _HALF
# By s and A together pixels are counted more coarsely: so many bins of s are one, and A has equal bins from 0 to 1.
_JOINED, _BINS_OF_A = 4, 128


class RocCounts:
    """Counts predictions, right ones and wrong ones apart, by predicted class and by each score, in fixed memory.

    The prediction of a pixel is c, the class of its largest probability; s is that probability.  Threads may add at
    the same time: counts are whole numbers, and their order does not matter.

    Parameters
    ----------
    classes : int
        Number of classes, L.
    discriminators : sequence of str
        Names of those behind A; none if A is unknown.

    Attributes
    ----------
    alone : np.ndarray
        (K, L, 2, BINS) int64: of s, A and each discriminator alone; predicted class, right, bin.
    joint : np.ndarray
        (L, 2, BINS / 4, 128) int64: predicted class, right, bin of s, bin of A.
    """

    def __init__(self, classes: int, discriminators: Sequence[str]):
        self.names = [SCORE, *([CONFIDENCE, *discriminators] if discriminators else [])]
        self.alone = np.zeros((len(self.names), classes, 2, BINS), dtype=np.int64)
        self.joint = np.zeros((classes, 2, BINS // _JOINED, _BINS_OF_A), dtype=np.int64)
        self._lock = Lock()

    def add(self, truth: np.ndarray, probabilities: np.ndarray, confidences: Sequence[np.ndarray]) -> None:
        """Count pixels, an image or a part of one.

        Parameters
        ----------
        truth : np.ndarray
            (H, W) uint8 train ids, those of 255 being left out.
        probabilities : np.ndarray
            (L, H, W) float32.
        confidences : sequence of np.ndarray
            A, then that of each discriminator alone, (H, W) float32 from 0 to 1; none if there are no discriminators.

        Raises
        ------
        ValueError
            If values are out of range, or there are more or fewer confidences than were named.
        """
        if len(confidences) != len(self.names) - 1:
            raise ValueError(f"{len(confidences)} maps of confidence: expected {', '.join(self.names[1:]) or 'none'}")
        label, score = classify(probabilities)
        scores = np.stack([score, *confidences]).reshape(len(self.names), -1)
        for confidence in confidences:
            check_confidence(confidence)
        places = _place(scores)
        known = np.ascontiguousarray(truth).ravel()
        with self._lock:
            _count(known, label.ravel(), places, scores, IGNORE, self.alone, self.joint)

    def report(self, names: Sequence[str]) -> Dict[str, Any]:
        """Return the areas under the ROC curves of right against wrong predictions: 0.5 is chance, 1 without an error.

        Parameters
        ----------
        names : sequence of str
            Of the classes.

        Returns
        -------
        dict
            ``version``; ``in_all``, and ``by_class`` of the prediction, each with

            - ``pixels`` whose truth is known, and how many of them are ``right``;
            - ``areas``: by name ("s", "A", each discriminator, "s and A") the probability that a right prediction has
              the larger score than a wrong one, equal ones counting a half; None where all or none are right.  Scores
              of one bin count as equal.  "s and A" is a logistic regression on the logarithm of the odds of s and on A,
              fitted to the very pixels that it is judged by;
            - ``off_by_at_most``: how far bins may put any of the areas off, but for the last; None without areas;
            - ``weights``, of the regression: what an s of e times the odds adds, and an A of 1 over one of 0; None
              where there is none.
        """
        by_class = {name: self._row(self.alone[:, c], self.joint[c]) for c, name in enumerate(names)}
        return {
            "version": VERSION,
            "in_all": self._row(self.alone.sum(axis=1), self.joint.sum(axis=0)),
            "by_class": by_class,
        }

    def _row(self, alone: np.ndarray, joint: np.ndarray) -> Dict[str, Any]:
        wrong, right = (int(number) for number in alone[0].sum(axis=1))
        areas: Dict[str, Optional[float]] = dict.fromkeys(self.names)
        row: Dict[str, Any] = {"pixels": wrong + right, "right": right, "areas": areas}
        row.update(off_by_at_most=None, weights=None)
        if CONFIDENCE in areas:
            areas[BOTH] = None
        if wrong and right:
            areas.update((name, area_of(*counts)) for name, counts in zip(self.names, alone))
            row["off_by_at_most"] = max(_ties(*counts) / 2 for counts in alone)
            if CONFIDENCE in areas:
                areas[BOTH], row["weights"] = _area_of_both(joint)
        return row


def gain_of(areas: Mapping[str, Optional[float]]) -> Optional[float]:
    """Return by how much s and A together have a larger area than s alone, to three decimals; None if not known."""
    both, score = areas.get(BOTH), areas.get(SCORE)
    return None if both is None or score is None else round(both - score, 3) + 0.0  # without the sign that -0 has


def what_confidence_adds(areas: Mapping[str, Optional[float]], weights: Optional[Mapping[str, float]]) -> str:
    """Say in words what `gain_of` returns; nothing where that is not known."""
    gain = gain_of(areas)
    if gain is None:
        return ""
    if gain <= 0:
        return "A adds nothing to s"
    turned = weights is not None and weights.get(CONFIDENCE, 0) < 0
    text = ", but the wrong way round: of pixels of one s, those of a high A are wrong more often"
    return f"A adds {gain:+.3f} to s" + text * turned


def area_of(wrong: np.ndarray, right: np.ndarray) -> float:
    """Return the area under the ROC curve of counts, (B,) each, by bins of rising score."""
    shares = wrong / wrong.sum()
    below = shares.cumsum() - shares / 2
    return float(below @ (right / right.sum()))


def _ties(wrong: np.ndarray, right: np.ndarray) -> float:
    """Return the share of pairs, a wrong and a right prediction each, that are in one bin."""
    return float((wrong / wrong.sum()) @ (right / right.sum()))


def _area_of_both(joint: np.ndarray) -> tuple:
    wrong, right = joint
    cells = np.nonzero(wrong + right)
    odds = _odds()[cells[0] * _JOINED + _JOINED // 2]
    scores = np.column_stack([odds, (cells[1] + 0.5) / _BINS_OF_A])
    wrong, right = wrong[cells], right[cells]
    weights = fit_logistic(scores, right, wrong)
    _, place = np.unique(scores @ weights, return_inverse=True)
    area = area_of(*(np.bincount(place, weights=counts) for counts in (wrong, right)))
    return area, dict(zip((SCORE, CONFIDENCE), weights.tolist()))


def _place(scores: np.ndarray) -> np.ndarray:
    """Return the bins of scores, float32 from 0 to 1."""
    distance = np.minimum(scores, np.float32(1) - scores)  # without rounding, since that to 1 counts from 0.5 on
    place = np.clip((distance.view(np.int32) >> _SHIFT) - _NEAREST, 0, _HALF - 1)
    return np.where(scores < 0.5, place, BINS - 1 - place)


def _odds() -> np.ndarray:
    """Return the logarithm of the odds where each bin begins, (BINS,) float64."""
    edges = (np.arange(_NEAREST, _NEAREST + _HALF + 1, dtype=np.int32) << _SHIFT).view(np.float32).astype(np.float64)
    lower = np.log(edges / (1 - edges))
    return np.concatenate([lower[:-1], -lower[:0:-1]])


@compiled
def _count(truth, label, places, scores, ignored, alone, joint):
    for x in range(truth.shape[0]):
        if truth[x] != ignored:
            right = 1 if truth[x] == label[x] else 0
            for k in range(places.shape[0]):
                alone[k, label[x], right, places[k, x]] += 1
            if places.shape[0] > 1:
                by_confidence = min(int(scores[1, x] * _BINS_OF_A), _BINS_OF_A - 1)
                joint[label[x], right, places[0, x] // _JOINED, by_confidence] += 1
