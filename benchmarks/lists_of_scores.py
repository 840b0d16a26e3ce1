"""How CBST and CRST choose labels, as their papers and READMEs describe it, for comparison; written anew.

Class probabilities lie on disk as float maps at the size of the image.  A list for each class collects the scores of
all pixels, is sorted, and gives the class's threshold; the maps are read again, divided by the thresholds, and the
largest ratio gives the label.  Nothing is sampled here, where they take every fourth pixel.
"""

from pathlib import Path
from typing import List, Sequence

import numpy as np
from PIL import Image


def label_by_lists(maps: Sequence[Path], out: Path, share: float) -> None:
    """Write labels of all images, given as (L, H, W) float32 maps in .npy files, keeping a share of each class."""
    weights = _thresholds(maps, share)[:, None, None]
    out.mkdir(parents=True, exist_ok=True)
    for path in maps:
        weighted = np.load(path) / weights
        labels = weighted.argmax(axis=0).astype(np.uint8)
        labels[weighted.max(axis=0) < 1] = 255
        Image.fromarray(labels).save(out / f"{path.stem}.png")


def _thresholds(maps: Sequence[Path], share: float) -> np.ndarray:
    scores: List[List[float]] = []
    for path in maps:
        probabilities = np.load(path)
        label, score = probabilities.argmax(axis=0), probabilities.max(axis=0)
        scores = scores or [[] for _ in probabilities]
        for c, of_class in enumerate(scores):
            of_class.extend(score[label == c].tolist())
    for of_class in scores:
        of_class.sort(reverse=True)
    kept = [int(share * len(of_class)) - 1 for of_class in scores]
    return np.array([of_class[k] if of_class else 1.0 for of_class, k in zip(scores, kept)], dtype=np.float32)
