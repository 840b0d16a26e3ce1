"""A reproduced table of the paper, as the page lays it out."""

import statistics
from typing import List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.formats import over_fewer
from gluon_madapt.report.stored import Spread, TableFile, TableRow

_NONE, _NOT_RUN = "–", "not run"


class Line(NamedTuple):
    """A row of a table: its name, and reproduced, published and difference, as text."""

    name: str
    reproduced: str
    published: str
    difference: str


class ClassTable(NamedTuple):
    """Tables 1 and 2 of one experiment: classes below each other, rows of the paper's side by side."""

    title: str
    rows: List[str]
    classes: List[Tuple[str, List[Line]]]


class TableView(NamedTuple):
    """A table: plain ones have ``lines`` and, for rows that the paper has not, ``beyond``; the others ``by_class``."""

    number: int
    title: str
    command: str
    lines: List[Line]
    beyond: List[Line]
    by_class: List[ClassTable]
    quoted_classes: List[str]
    quoted: List[Tuple[str, ...]]
    departures: List[Tuple[str, List[str]]]
    missing: str


def table_view(table: TableFile) -> TableView:
    """Lay out what table-N.json holds."""
    per_class = any(row.published and row.published.iou for row in table.rows)
    lines = [] if per_class else [(row, _line(row)) for row in table.rows]
    known = any(row.published for row in table.rows)  # with no number of the paper at all, no row is beyond it
    results = [one for row in table.rows for one in row.results]
    left = sum(one.scores is None for one in results)
    return TableView(
        table.table,
        table.title,
        table.command,
        [line for row, line in lines if row.published or not known],
        [line for row, line in lines if known and not row.published],
        _by_class(table) if per_class else [],
        _classes(table),
        [_quoted(one, table) for one in table.quoted],
        list(
            {
                row.experiment: row.departures_from_the_paper for row in table.rows if row.departures_from_the_paper
            }.items()
        ),
        f"{left} of {len(results)} results were not run yet." if left else "",
    )


def _line(row: TableRow) -> Line:
    found, published = row.reproduced.get("miou"), row.published.miou if row.published else None
    return Line(row.row, _spread(row, "miou"), _percent(published), _difference(found and found.mean, published))


def _by_class(table: TableFile) -> List[ClassTable]:
    tables = []
    for experiment in dict.fromkeys(row.experiment for row in table.rows):
        rows = [row for row in table.rows if row.experiment == experiment and row.published]
        lines = [(name, [_class_line(row, name) for row in rows]) for name in _classes(table)]
        for key, title in (("miou", "mIoU"), ("miou13", "mIoU* (13 classes)")):
            if any(getattr(row.published, key) is not None for row in rows):
                lines.append((title, [_mean_line(row, key) for row in rows]))
        paper = rows[0].published.backbone if rows else ""
        title = f"{experiment}, encoder {rows[0].encoder}; the paper's with {paper}" if rows else experiment
        tables.append(ClassTable(title, [row.row for row in rows], lines))
    return tables


def _classes(table: TableFile) -> List[str]:
    return list(next((row.published.iou for row in table.rows if row.published and row.published.iou), {}))


def _class_line(row: TableRow, name: str) -> Line:
    scored = [one.scores.iou.get(name) for one in row.results if one.scores]
    known = [value for value in scored if value is not None]
    mean, published = statistics.mean(known) if known else None, row.published.iou.get(name)
    text = f"{mean:.1f}" if known else "absent" if scored else _NOT_RUN
    return Line(name, text, _percent(published), _difference(mean, published))


def _mean_line(row: TableRow, key: str) -> Line:
    found, published = row.reproduced.get(key), getattr(row.published, key)
    return Line(key, _spread(row, key), _percent(published), _difference(found and found.mean, published))


def _spread(row: TableRow, key: str) -> str:
    found: Optional[Spread] = row.reproduced.get(key)
    if found is None:
        return _NOT_RUN
    of, over = len(row.results), over_fewer((one.scores.iou for one in row.results if one.scores), key)
    text = f"{found.mean:.1f}" + (f" ± {found.deviation:.1f}" if found.deviation is not None else "")
    return (text if found.seeds == of else f"{text} ({found.seeds} of {of} seeds)") + over


def _difference(value: Optional[float], published: Optional[float]) -> str:
    return _NONE if value is None or published is None else f"{value - published:+.1f}"


def _percent(value: Optional[float]) -> str:
    return _NONE if value is None else f"{value:.1f}"


def _quoted(row, table: TableFile) -> Tuple[str, ...]:
    values: Sequence[Optional[float]] = [*row.iou, row.miou, *([row.miou13] if _has_miou13(table) else [])]
    return (f"{row.method}, {row.backbone}", row.reported_by, *map(_percent, values))


def _has_miou13(table: TableFile) -> bool:
    return any(row.published and row.published.miou13 is not None for row in table.rows)
