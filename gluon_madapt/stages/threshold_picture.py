"""The picture of a run's thresholds, from its stored maps and its proxies.json."""

from pathlib import Path
from typing import Dict, Optional

import numpy as np

from gluon_madapt.data import Dataset
from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies.pixels import classify, reweigh
from gluon_madapt.report.thresholds import Distributions, Example, threshold_picture
from gluon_madapt.stages.map_cache import CACHE, MapCache
from gluon_madapt.stages.network_pass import open_cache
from gluon_madapt.stages.progress import Progress
from gluon_madapt.stages.proxies import RECORD
from gluon_madapt.stages.run import Run, read_json
from gluon_madapt.stages.scored_maps import scored_blocks

_CLASSES_SHOWN = 4


def draw_thresholds(run: Run, cache: Optional[Path] = None, image: int = 0, out: Optional[Path] = None) -> Path:
    """Draw where t1 and t2 lie among the pixels of all images, and what they make of one image.

    Parameters
    ----------
    run : Run
        A run whose proxies are made.
    cache : Path, optional
        The folder of its network pass; "cache" in the run folder by default.
    image : int
        The place of the image to show.
    out : Path, optional
        Where to write the PNG; "proxies/thresholds.png" in the run folder by default.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    UserError
        If there are no proxies, no maps, or no such image.
    """
    path = run.folder / "proxies" / RECORD
    if not path.is_file():
        raise UserError(f"{path}: missing, so there are no proxies yet: make them with {run.command('proxies')}")
    record, target = read_json(path), run.dataset("target", labelled=False)
    if not 0 <= image < len(target):
        raise UserError(f"--image {image}: there are {len(target)} images: expected 0 to {len(target) - 1}")
    start = run.checkpoint_of("adversarial")
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    distributions = _distributions(maps, record, len(run.classes))
    largest = np.argsort(-distributions.scores.sum(axis=1), kind="stable")
    filled = [c for c in largest if distributions.scores[c].any()]
    shown = [filled[i] for i in np.linspace(0, len(filled) - 1, min(_CLASSES_SHOWN, len(filled))).round().astype(int)]
    out = out or run.folder / "proxies" / "thresholds.png"
    threshold_picture(out, record, distributions, shown, _example(maps, target, record, image), run.classes)
    return out


def _distributions(maps: MapCache, record: Dict, classes: int) -> Distributions:
    distributions = Distributions(classes)
    with Progress("distributions", len(maps)) as progress:
        for index in range(len(maps)):
            for probabilities, confidence in scored_blocks(maps.read(index)):
                distributions.add(confidence, *classify(probabilities), record["t1"])
            progress.one_more()
    return distributions


def _example(maps: MapCache, target: Dataset, record: Dict, index: int) -> Example:
    t2 = np.array(list(record["t2"].values()), dtype=np.float32)
    confidences, labels = [], []
    for probabilities, confidence in scored_blocks(maps.read(index)):
        best, sure = reweigh(probabilities, t2)
        confidences.append(confidence)
        labels.append(np.where(sure, best, IGNORE).astype(np.uint8))
    confidence, without = np.concatenate(confidences), np.concatenate(labels)
    proxies = np.where(confidence > np.float32(record["t1"]), without, np.uint8(IGNORE))
    return Example(target.image(index), confidence, without, proxies)
