"""Lays out the classes of a run in tables and bars: IoU before and after, and proxies."""

import statistics
from typing import List, NamedTuple, Optional, Sequence

from gluon_madapt.formats import NONE, difference, mean_of_known, over_fewer, percent
from gluon_madapt.labels import ClassSet
from gluon_madapt.report.charts import ClassPixels, ClassScores, draw_coverage, draw_iou
from gluon_madapt.report.facts import RunFacts
from gluon_madapt.report.figure_files import Figure, FigureFolder
from gluon_madapt.report.scored import Scored, before_and_after
from gluon_madapt.report.stored import ProxyRecord, Scores


class Named(NamedTuple):
    """A class in a legend: its train id, its name and its colour, as CSS writes it."""

    number: int
    name: str
    colour: str


class IouRow(NamedTuple):
    """The IoU of a class, or its mean, in percent with one decimal, as text."""

    number: Optional[int]
    name: str
    before: str
    after: str
    change: str


class CoverageRow(NamedTuple):
    """The proxies of a class, as text; ``vanished``: looked at, but without any; ``unseen``: not looked at."""

    number: int
    name: str
    focused: str
    kept: str
    share: str
    t2: str
    ties: str
    right: str
    vanished: bool
    unseen: bool


class IouByClass(NamedTuple):
    """The IoU of every class, and the figure of it."""

    rows: Sequence[IouRow]
    figure: Figure


class Coverage(NamedTuple):
    """The proxies of every class, and the figure of them."""

    rows: Sequence[CoverageRow]
    figure: Figure


def legend_of(classes: ClassSet) -> List[Named]:
    """Return the classes with their colours."""
    named = zip(classes.names, classes.palette.tolist())
    return [Named(number, name, "#{:02x}{:02x}{:02x}".format(*colour)) for number, (name, colour) in enumerate(named)]


def iou_by_class(scored: Sequence[Sequence[Scored]], classes: ClassSet, figures: FigureFolder) -> Optional[IouByClass]:
    """Return the IoU of every class before and after, means over the seeds; None where nothing was scored."""
    sides = [[before_and_after(one, stage) for one in scored] for stage in ("source", "retrain")]
    before, after = ([one.scores for one in side if one] for side in sides)
    if not (before or after):
        return None
    found = [
        ClassScores(name, *([one.iou.get(name) for one in side] for side in (before, after))) for name in classes.names
    ]
    rows = [_iou_row(number, one) for number, one in enumerate(found)]
    rows.append(_mean_row("mIoU", "miou", before, after))
    if classes.subset_13:
        rows.append(_mean_row("mIoU* (13 classes)", "miou13", before, after))
    alt = f"Bars of the IoU of {len(found)} classes before and after adaptation; the table beside has the numbers."
    return IouByClass(rows, figures.add("iou", draw_iou(found), alt))


def coverage_by_class(facts: RunFacts, figures: FigureFolder) -> Optional[Coverage]:
    """Return how many pixels of every class got a proxy; None where there are no proxies."""
    record, names = facts.proxies, facts.run.classes.names
    if record is None:
        return None
    pixels = [
        ClassPixels(name, record.pixels_focused_by_class.get(name, 0), record.pixels_kept_by_class.get(name, 0))
        for name in names
    ]
    rows = [_coverage_row(number, one, record) for number, one in enumerate(pixels)]
    alt = (
        f"Bars of the pixels of {len(names)} classes that were looked at and that got a proxy; the table has them too."
    )
    return Coverage(rows, figures.add("proxies", draw_coverage(pixels), alt))


def _iou_row(number: Optional[int], one: ClassScores) -> IouRow:
    before, after = (_mean(side) for side in (one.before, one.after))
    change = difference([after - before]) if before is not None and after is not None else NONE
    sides = [mean_of_known(side, "absent") for side in (one.before, one.after)]
    return IouRow(number, one.name, sides[0], sides[1], change)


def _mean_row(name: str, key: str, before: Sequence[Scores], after: Sequence[Scores]) -> IouRow:
    row = _iou_row(None, ClassScores(name, *([getattr(one, key) for one in side] for side in (before, after))))
    overs = (over_fewer((one.iou for one in side), key) for side in (before, after))
    return row._replace(**{side: getattr(row, side) + over for side, over in zip(("before", "after"), overs)})


def _mean(values: Sequence[Optional[float]]) -> Optional[float]:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _coverage_row(number: int, one: ClassPixels, record: ProxyRecord) -> CoverageRow:
    audited = record.audit and record.audit.get("proxies")
    found = audited.by_class.get(one.name) if audited else None
    t2, ties = record.t2.get(one.name), record.ties.t2.get(one.name, 0.0)
    return CoverageRow(
        number,
        one.name,
        f"{one.focused:,}",
        f"{one.kept:,}" if one.kept else "none",
        f"{100 * one.kept / record.pixels_kept:.2f}" if record.pixels_kept else NONE,
        f"{t2:.3f}" if t2 is not None and one.focused else NONE,
        percent(100 * ties) if ties >= 5e-4 else "",
        percent(100 * found.accuracy) if found and found.accuracy is not None else "",
        bool(one.focused and not one.kept),
        not one.focused,
    )
