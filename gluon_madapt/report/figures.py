"""Paints the paper's Figures 5 and 6, and finds or draws the figure of the thresholds."""

import io
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_json
from gluon_madapt.labels import IGNORE, ClassSet
from gluon_madapt.report.examples import Focused, Segmented, cache_of
from gluon_madapt.report.facts import RunFacts
from gluon_madapt.report.figure_files import Figure, FigureFolder
from gluon_madapt.report.painting import paint_confidence, paint_image, paint_labels, strip_of
from gluon_madapt.report.threshold_figure import draw_thresholds, is_drawn_from
from gluon_madapt.run_layout import PROXY_RECORD

# Drawn along with a report up to so many pixels, which takes seconds; of larger sets on demand.
_QUICK_PIXELS = 20_000_000
_STAGE_TITLES = {"source": "before: source only", "retrain": "after: adapted"}


class Shown(NamedTuple):
    """A picture of a row, and the text above and below it."""

    title: str
    figure: Figure
    note: str


class Row(NamedTuple):
    """An image's name and its pictures."""

    name: str
    shown: Sequence[Shown]


def figure_5(found: Sequence[Segmented], classes: ClassSet, figures: FigureFolder) -> List[Row]:
    """Paint images, what the models make of them, and the truth; all of them once more in figure-5.png."""
    rows, strip = [], []
    for number, one in enumerate(found, 1):
        painted = {"target image": (paint_image(one.image), "")}
        for stage, labels in one.maps.items():
            painted[_STAGE_TITLES[stage]] = (paint_labels(labels, classes), _note(one, stage))
        if one.truth is not None:
            painted["ground truth"] = (paint_labels(one.truth, classes), "")
        rows.append(_row(f"figure-5-{number}", one.name, painted, figures))
        strip.append(painted)
    _add_strip("figure-5", strip, classes, figures)
    return rows


def figure_6(found: Sequence[Focused], t1: float, classes: ClassSet, figures: FigureFolder) -> List[Row]:
    """Paint the adversarial confidence of images, and their proxies without it and with it; also in figure-6.png."""
    rows, strip = [], []
    for number, one in enumerate(found, 1):
        example, dropped = one.example, one.example.dropped
        alone, kept = ((labels != IGNORE).mean() for labels in (example.without, example.proxies))
        painted = {
            "target image": (paint_image(example.image), ""),
            "adversarial confidence": (paint_confidence(example.confidence, t1), f"above t1: {_above(example, t1)}"),
            "classifier alone": (paint_labels(example.without, classes), f"labels {100 * alone:.0f} % of the image"),
            "proxies": (
                paint_labels(example.proxies, classes, dropped),
                f"label {100 * kept:.0f} %; hatched: {100 * dropped.mean():.0f} % dropped",
            ),
        }
        rows.append(_row(f"figure-6-{number}", one.name, painted, figures))
        strip.append(painted)
    _add_strip("figure-6", strip, classes, figures, "dropped by the discriminators")
    return rows


def figure_of_thresholds(facts: RunFacts, figures: FigureFolder) -> Optional[Figure]:
    """Return the picture of the thresholds: the one that was drawn since the proxies were made, or a new one.

    Raises
    ------
    UserError
        If there is none, and drawing one would take long or cannot be done.
    """
    if facts.proxies is None:
        return None
    folder = facts.stages["proxies"].folder
    drawn = folder / "thresholds.png"
    if not _is_current(drawn, folder / PROXY_RECORD):
        if facts.proxies.pixels > _QUICK_PIXELS:
            command = facts.run.command_of("show_thresholds.py")
            raise UserError(f"{drawn}: not drawn, since it takes a while for so many images: {command} draws it")
        drawn = draw_thresholds(facts.run, cache_of(facts), out=figures.folder / "thresholds.png").path
    alt = (
        f"Distributions of adversarial confidence, with t1 = {facts.proxies.t1:.3f}, and of four classes' scores, "
        "with their thresholds t2; below, one image and its proxies."
    )
    return figures.add("thresholds", _checked(drawn), alt, dots=1)


def _is_current(drawn: Path, record: Path) -> bool:
    if not drawn.is_file():
        return False
    same = is_drawn_from(drawn, read_json(record))
    return drawn.stat().st_mtime >= record.stat().st_mtime if same is None else same


def _checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        Image.open(io.BytesIO(content)).verify()
    except (OSError, SyntaxError) as error:  # what Pillow raises of damaged PNGs
        raise UserError(f"{path}: cannot be read ({error}): delete it") from None
    return content


def _row(prefix: str, name: str, painted: dict, figures: FigureFolder) -> Row:
    shown = []
    for title, (picture, note) in painted.items():
        file = f"{prefix}-{title.split(':')[0].replace(' ', '-')}"
        shown.append(Shown(title, figures.add(file, picture, f"{title} of {name}. {note}".strip()), note))
    return Row(name, shown)


def _add_strip(name: str, rows: Sequence[dict], classes: ClassSet, figures: FigureFolder, hatched: str = "") -> None:
    if rows:
        columns = list(rows[0])
        pictures = [[painted[title][0] for title in columns] for painted in rows]
        figures.add(name, strip_of(columns, pictures, classes, hatched), "All rows of the figure in one picture.")


def _note(one: Segmented, stage: str) -> str:
    right = one.right(stage)
    if right is not None:
        return f"{100 * right:.0f} % of the labelled pixels right"
    if stage == "retrain" and one.agreement is not None:
        return f"as before on {100 * one.agreement:.0f} % of the pixels"
    return ""


def _above(example, t1: float) -> str:
    return f"{100 * float(np.mean(example.confidence > t1)):.0f} % of the image"
