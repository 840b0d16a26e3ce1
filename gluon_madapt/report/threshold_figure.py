"""Draws how the thresholds of proxy selection come about (P §2.3): the distributions of a set, and one image."""

import hashlib
import json
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.labels import ClassSet
from gluon_madapt.proxies.pixels import classify, reweigh
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.proxy_set import thresholds_of
from gluon_madapt.proxy_maps.scored_maps import scored_blocks
from gluon_madapt.report.charts import figure_of, png_of
from gluon_madapt.report.examples import Example, example_of, stored_maps
from gluon_madapt.report.painting import paint_confidence, paint_image, paint_labels
from gluon_madapt.runs.run import Run
from gluon_madapt.system.progress import Progress

_CLASSES_SHOWN = 4
BINS = 200
_KEPT, _DROPPED = "#2166ac", "#bbbbbb"
# Of the curves of classes: told apart by their dashes, too.
_DASHES = ("-", "--", "-.", ":")


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


class Distributions:
    """Histograms of a whole set, of `BINS` bins from 0 to 1.

    Attributes
    ----------
    confidence : np.ndarray
        (BINS,) pixels by adversarial confidence.
    scores : np.ndarray
        (L, BINS) pixels above t1 by class and score.
    """

    def __init__(self, classes: int):
        self.confidence = np.zeros(BINS, dtype=np.int64)
        self.scores = np.zeros((classes, BINS), dtype=np.int64)

    def add(self, confidence: np.ndarray, label: np.ndarray, score: np.ndarray, t1: Union[float, np.floating]) -> None:
        """Count the pixels of an image, or of a part of one."""
        self.confidence += np.bincount(_bins(confidence), minlength=BINS)
        above = confidence > t1
        places = label[above].astype(np.int64) * BINS + _bins(score[above])
        self.scores += np.bincount(places, minlength=self.scores.size).reshape(self.scores.shape)


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
    write_threshold_figure(out, record, distributions, shown, example_of(maps, target, record, image), run.classes)
    moved_share = moved / max(record["pixels_kept"], 1)
    return Drawn(out, record["p1"] * record["p2"], record["share_labelled"], moved_share)


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


def write_threshold_figure(
    path: Path, record: Dict, distributions: Distributions, shown: Sequence[int], example: Example, classes: ClassSet
) -> None:
    """Write a PNG: where t1 and t2 lie in the distributions, and what they make of one image.

    Parameters
    ----------
    path : Path
        Where to write it.
    record : dict
        What proxies.json says.
    distributions : Distributions
        Of the whole set.
    shown : sequence of int
        Up to four classes to draw the scores of.
    example : Example
        One image of the set.
    classes : ClassSet
        For names and colours.
    """
    height, width = example.confidence.shape
    below = 13.0 / 4 * height / width
    with figure_of(13, 4.3 + below, "constrained") as figure:
        _draw(figure, below, record, distributions, shown, example, classes)
        content = png_of(figure, 100, mark_of(record))
    with write_atomically(path) as file:
        file.write(content)


def mark_of(record: Dict) -> str:
    """Return what a picture says of the record that it was drawn from."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def is_drawn_from(path: Path, record: Dict) -> Optional[bool]:
    """Tell whether a picture is of a record; None where it does not say of which one."""
    try:
        with Image.open(path) as image:
            mark = getattr(image, "text", {}).get("Source")
    except (OSError, SyntaxError):
        return None
    return mark and mark == mark_of(record)


def _draw(
    figure: Figure,
    below: float,
    record: Dict,
    distributions: Distributions,
    shown: Sequence[int],
    example: Example,
    classes: ClassSet,
) -> None:
    (above,), (images,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(4.0, below + 0.3))
    left, right = above.subplots(1, 2)
    _draw_confidence(left, record, distributions.confidence)
    _draw_scores(right, record, distributions.scores, shown, classes)
    pictures = (
        paint_image(example.image),
        paint_confidence(example.confidence, record["t1"]),
        paint_labels(example.without, classes),
        paint_labels(example.proxies, classes, example.dropped),
    )
    titles = ("target image", "adversarial confidence A, and t1", "classifier alone", "proxies: and A > t1")
    for axes, picture, title in zip(images.subplots(1, 4), pictures, titles):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])


def _draw_confidence(axes: Axes, record: Dict, counts: np.ndarray) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    share = counts / counts.sum() * 100
    kept = edges[:-1] >= record["t1"]
    axes.bar(edges[:-1][~kept], share[~kept], width=1 / BINS, align="edge", color=_DROPPED, label="dropped")
    axes.bar(
        edges[:-1][kept], share[kept], width=1 / BINS, align="edge", color=_KEPT, label=f"kept: p1 = {record['p1']}"
    )
    axes.axvline(record["t1"], color="black", linewidth=1)
    axes.annotate(f" t1 = {record['t1']:.3f}", (record["t1"], axes.get_ylim()[1] * 0.93), fontsize=11)
    axes.set_title("1. refocus: all pixels of all images by adversarial confidence", fontsize=11, loc="left")
    axes.set_xlabel("adversarial confidence A")
    axes.set_ylabel("percent of all pixels")
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, loc="upper right")


def _draw_scores(axes: Axes, record: Dict, counts: np.ndarray, shown: Sequence[int], classes: ClassSet) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    for label, dashes in zip(shown, _DASHES):
        name = classes.names[label]
        surer = np.append(counts[label][::-1].cumsum()[::-1], 0) / max(counts[label].sum(), 1) * 100
        t2 = record["t2"][name]
        (line,) = axes.plot(edges, surer, linestyle=dashes, label=f"{name}: t2 = {t2:.3f}")
        axes.plot([t2, t2], [0, 100 * record["p2"]], color=line.get_color(), linestyle=dashes, linewidth=0.8)
        axes.plot([t2], [100 * record["p2"]], marker="o", color=line.get_color())
    axes.axhline(100 * record["p2"], color="black", linewidth=0.8)
    axes.annotate(f"p2 = {record['p2']}", (0.01, 100 * record["p2"] + 1.5), fontsize=11)
    axes.set_title("2. reweight: of each class's pixels with A > t1, those surer than s", fontsize=11, loc="left")
    axes.set_xlabel("score s = largest class probability")
    axes.set_ylabel("percent of the class's pixels")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 105)
    axes.legend(framealpha=1, edgecolor="none", loc="lower left")


def _bins(values: np.ndarray) -> np.ndarray:
    return np.minimum((values * BINS).astype(np.int64).ravel(), BINS - 1)
