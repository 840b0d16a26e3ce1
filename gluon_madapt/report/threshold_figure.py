"""The picture of a run's thresholds, from its stored maps and its proxies.json."""

from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from gluon_madapt.data import Dataset, is_same
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.adabn import under_current_name
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies import choose
from gluon_madapt.proxies.pixels import classify, reweigh
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.network_pass import open_cache
from gluon_madapt.proxy_maps.proxy_set import thresholds_of
from gluon_madapt.proxy_maps.scored_maps import scored_blocks
from gluon_madapt.report.thresholds import Distributions, Example, threshold_picture
from gluon_madapt.run_layout import CACHE, METRICS, PROXY_RECORD
from gluon_madapt.runs.run import Run
from gluon_madapt.system.progress import Progress

_CLASSES_SHOWN = 4


class Drawn(NamedTuple):
    """What was drawn.

    Attributes
    ----------
    path : Path
        The picture.
    expected, labelled : float
        p1 p2, and the share of all pixels that are proxies.
    moved : float
        The share of the proxies that are of another class than the pixel's likeliest one.
    """

    path: Path
    expected: float
    labelled: float
    moved: float


def draw_thresholds(run: Run, cache: Optional[Path] = None, image: int = 0, out: Optional[Path] = None) -> Drawn:
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
    Drawn
        Where it was written, and how the share that is labelled differs from p1 p2.

    Raises
    ------
    UserError
        If there are no proxies, no maps, no such image, or the maps are not those that the proxies were made from.
    """
    record, maps, target = stored_maps(run, cache)
    if not 0 <= image < len(target):
        raise UserError(f"--image {image}: there are {len(target)} images: expected 0 to {len(target) - 1}")
    distributions, moved = _distributions(maps, record, len(run.classes))
    largest = np.argsort(-distributions.scores.sum(axis=1), kind="stable")
    filled = [c for c in largest if distributions.scores[c].any()]
    shown = [filled[i] for i in np.linspace(0, len(filled) - 1, min(_CLASSES_SHOWN, len(filled))).round().astype(int)]
    out = out or run.folder / "proxies" / "thresholds.png"
    threshold_picture(out, record, distributions, shown, example_of(maps, target, record, image), run.classes)
    moved_share = moved / max(record["pixels_kept"], 1)
    return Drawn(out, record["p1"] * record["p2"], record["share_labelled"], moved_share)


def stored_maps(run: Run, cache: Optional[Path] = None) -> Tuple[Dict, MapCache, Dataset]:
    """Return what proxies.json says, the maps that the proxies were made from, and their images.

    Raises
    ------
    UserError
        If there are no proxies, or no maps that are those that they were made from.
    """
    folder = run.folder / "proxies"
    if not (folder / PROXY_RECORD).is_file():
        raise UserError(
            f"{folder / PROXY_RECORD}: missing, so there are no proxies yet: make them with {run.command('proxies')}"
        )
    record, target = read_json(folder / PROXY_RECORD), run.dataset("target", labelled=False)
    if (folder / METRICS).is_file():
        target = target.without(read_json(folder / METRICS).get("left_out", ()))
    start = run.checkpoint_of("adversarial")
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    made_from = under_current_name(record.get("made_from", {}))
    if not is_same(made_from, maps.made_from) or run.changes_of_inputs("proxies", inputs):
        raise UserError(
            f"{folder / PROXY_RECORD}: these proxies were made from something else than {maps.folder} would be now"
        )
    return record, maps, target


def _distributions(maps: MapCache, record: Dict, classes: int) -> Tuple[Distributions, int]:
    """Return the distributions, and how many proxies are of another class than the likeliest."""
    distributions, moved, found = Distributions(classes), 0, thresholds_of(record)
    with Progress("distributions", len(maps)) as progress:
        for index in range(len(maps)):
            for _, probabilities, confidence in scored_blocks(maps.read(index)):
                label, score = classify(probabilities)
                best, sure = reweigh(probabilities, found.t2)
                distributions.add(confidence, label, score, found.t1)
                moved += int((sure & (confidence > found.t1) & (best != label)).sum())
            progress.one_more()
    return distributions, moved


def example_of(maps: MapCache, target: Dataset, record: Dict, index: int) -> Example:
    """Return one image with what both criteria make of it."""
    found, confidences, choices = thresholds_of(record), [], []
    for _, probabilities, confidence in scored_blocks(maps.read(index)):
        confidences.append(confidence)
        choices.append(choose(probabilities, confidence, found))
    without = [np.where(one.sure, one.best, IGNORE).astype(np.uint8) for one in choices]
    proxies = [one.labels for one in choices]
    return Example(target.image(index), *map(np.concatenate, (confidences, without, proxies)))
