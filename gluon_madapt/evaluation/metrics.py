"""Computes intersection over union from one confusion matrix over a whole split (P §3.1, released code)."""

from typing import Sequence

import numpy as np

from gluon_madapt.labels import IGNORE
from gluon_madapt.system.compiled import compiled


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all pixels seen so far.

    Attributes
    ----------
    counts : np.ndarray
        (L, L) int64; rows are true classes, columns predicted ones.
    """

    def __init__(self, num_classes: int):
        self.counts = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, label: np.ndarray, prediction: np.ndarray) -> None:
        """Count one image: ``label`` and ``prediction`` (H, W) uint8 train ids; pixels labelled 255 are left out.

        Raises
        ------
        ValueError
            If the shapes or types differ, or a value is none of the classes.
        """
        if label.shape != prediction.shape:
            raise ValueError(f"label of shape {label.shape} and prediction of shape {prediction.shape} differ")
        classes = len(self.counts)
        pairs = np.zeros((256, 256), dtype=np.int64)
        _count_pairs(_bytes(label), _bytes(prediction), pairs)
        counted = pairs[:classes, :classes]
        if counted.sum() != pairs[:IGNORE].sum() or pairs[IGNORE, classes:].any():
            raise ValueError(f"label or prediction holds an id that is none of the {classes} classes")
        self.counts += counted

    @property
    def iou(self) -> np.ndarray:
        """IoU per class, (L,) float64 in [0, 1]; NaN for a class in neither labels nor predictions."""
        true_positive = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - np.diag(self.counts)
        return np.divide(true_positive, union, out=np.full(len(union), np.nan), where=union > 0)

    def miou(self, classes: Sequence[int] = ()) -> float:
        """Mean IoU over ``classes``, or over all; classes that are absent from labels and predictions are left out."""
        iou = self.iou[list(classes)] if len(classes) else self.iou
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float("nan")


def _bytes(ids: np.ndarray) -> np.ndarray:
    if ids.dtype != np.uint8:
        raise ValueError(f"train ids must be uint8, not {ids.dtype}")
    return np.ascontiguousarray(ids).ravel()


@compiled
def _count_pairs(label, prediction, pairs):
    for i in range(label.shape[0]):
        pairs[label[i], prediction[i]] += 1
