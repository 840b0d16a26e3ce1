"""Measures how accurate the proxies and the dropped pixels are, where the truth is known (P Figure 6)."""

from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies.selection import Choice

# By (sure, focused), as in `Choice`.
_GROUPS = {
    "proxies": (1, 1),
    "dropped_by_discriminators": (1, 0),
    "dropped_by_classifier": (0, 1),
    "dropped_by_both": (0, 0),
}
# Which of these each criterion would keep, if it were alone: it drops the others.
_KEPT = {
    "p1": ("proxies", "dropped_by_classifier"),
    "p2": ("proxies", "dropped_by_discriminators"),
    "both": ("proxies",),
}


class Side(NamedTuple):
    """Pixels whose truth is known, and the share of them for which l* is true; None of no pixels."""

    pixels: int
    accuracy: Optional[float]


class Criterion(NamedTuple):
    """What a criterion alone would keep, and what it would drop."""

    kept: Side
    dropped: Side


class Audit:
    """Counts pixels by true class and by l*, apart for each verdict of the two criteria.

    Parameters
    ----------
    classes : int
        Number of classes, L.

    Attributes
    ----------
    counts : np.ndarray
        (2, 2, L, L) int64: the classifier is sure, the discriminators are, true class, l*.
    """

    def __init__(self, classes: int):
        self.counts = np.zeros((2, 2, classes, classes), dtype=np.int64)

    def add(self, truth: np.ndarray, choice: Choice) -> None:
        """Count pixels, an image or a part of one: ``truth`` (H, W) uint8 train ids, those of 255 being left out."""
        classes = self.counts.shape[-1]
        known = truth != IGNORE
        verdict = 2 * choice.sure[known].astype(np.int64) + choice.focused[known]
        cell = (verdict * classes + truth[known]) * classes + choice.best[known]
        self.counts += np.bincount(cell, minlength=self.counts.size).reshape(self.counts.shape)

    def report(self, names: Sequence[str]) -> Dict[str, Any]:
        """Return the accuracy of the proxies and of what was dropped.

        Parameters
        ----------
        names : sequence of str
            Of the classes.

        Returns
        -------
        dict
            For "proxies", "dropped_by_discriminators", "dropped_by_classifier" (each by that criterion alone) and
            "dropped_by_both": ``pixels`` whose truth is known; ``accuracy``, the share of them for which l*, the label
            that they got or would have got, is true; and both ``by_class`` of l*.  None stands for no pixels at all.
        """
        return {group: self._group(self.counts[verdict], names) for group, verdict in _GROUPS.items()}

    @staticmethod
    def _group(matrix: np.ndarray, names: Sequence[str]) -> Dict[str, Any]:
        right, labelled = np.diag(matrix), matrix.sum(axis=0)
        by_class = {name: _accuracy(right[c], labelled[c]) for c, name in enumerate(names)}
        return dict(_accuracy(right.sum(), labelled.sum()), by_class=by_class)


def criteria_of(report: Mapping[str, Mapping[str, Any]]) -> Dict[str, Criterion]:
    """Return how right the pixels are that "p1" (A > t1), "p2" (P(l*) > t2(l*)) and "both" would keep and drop.

    ``report`` is what `Audit.report` returned, of whatever version.
    """

    def side(groups: Iterable[str]) -> Side:
        known = [report[group] for group in groups if report.get(group, {}).get("pixels")]
        pixels = sum(one["pixels"] for one in known)
        right = sum(round(one["pixels"] * one["accuracy"]) for one in known)
        return Side(pixels, right / pixels if pixels else None)

    return {
        name: Criterion(side(kept), side(group for group in _GROUPS if group not in kept))
        for name, kept in _KEPT.items()
    }


def _accuracy(right: int, pixels: int) -> Dict[str, Any]:
    return {"pixels": int(pixels), "accuracy": float(right / pixels) if pixels else None}
