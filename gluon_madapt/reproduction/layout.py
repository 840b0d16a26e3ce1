"""Lays out a table's results as text: grids for Markdown and for the report's page."""

import statistics
from functools import partial
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.formats import NONE, NOT_RUN, difference, duration, mean_of_known, percent
from gluon_madapt.reproduction.results import (
    MEANS,
    ORDER_ALONE,
    OVER_CONTROL,
    Quoted,
    Table,
    TableRow,
    is_compared,
    references,
)
from gluon_madapt.reproduction.rows import MEASURED

COST_TITLE = "What each row cost"
COST_NOTE = (
    "trainings and network passes up to its model, stage 1 included, on the machine that each ran on; "
    "largest resident memory of any of them; without scoring"
)

# Departures from the paper that are listed before it is said how many more there are.
_LISTED = 8

Cells = Tuple[str, ...]


class Line(NamedTuple):
    """A line of a grid; ``beyond``: the paper, which has others of the table's rows, has not this one."""

    cells: Cells
    beyond: bool = False


class Grid(NamedTuple):
    """The lines of one experiment below their header."""

    title: str
    header: Cells
    lines: List[Line]

    @property
    def columns(self) -> List[Cells]:
        """The grid on its side: a tuple of its header and of each line's cell, for each column."""
        return list(zip(self.header, *(line.cells for line in self.lines)))


class Layout(NamedTuple):
    """A table as text.

    Attributes
    ----------
    title, command : str
        What it shows, and what made it.
    by_class : bool
        Whether its grids have a column for each class (Tables 1 and 2).
    grids : list of Grid
        One for each experiment.
    quoted : list of tuple of str
        The rows that the paper quotes from others, in the columns of the grids.
    notes : list of str
        What to know when reading it.
    costs : list of Grid
        What each row cost, one for each experiment; none where that was not asked for.
    cost_note : str
        What is in it.
    """

    title: str
    command: str
    by_class: bool
    grids: List[Grid]
    quoted: List[Cells]
    notes: List[str]
    costs: List[Grid] = []
    cost_note: str = COST_NOTE


def layout_of(table: Table) -> Layout:
    """Lay out a table, as it stands in memory or in table-N.json."""
    classes = next((list(row.published.iou) for row in table.rows if row.published and row.published.iou), [])
    means = _means(table)
    grids = [
        _class_grid(name, rows, classes, means) if classes else _plain_grid(name, rows)
        for name, rows in table.experiments().items()
    ]
    quoted = [_quoted_cells(row, means) for row in table.quoted]
    notes = [note for name, rows in table.experiments().items() for note in _notes(name, rows)]
    notes += [table.not_run] if table.not_run else []
    costs = [_cost_grid(name, rows) for name, rows in table.experiments().items() if any(row.costs for row in rows)]
    return Layout(table.title, table.command, bool(classes), grids, quoted, notes, costs)


def markdown(table: Table) -> str:
    """Write a table in Markdown, and where each of its rows comes from."""
    layout = layout_of(table)
    parts = [f"# {layout.title}", f"```\n{layout.command}\n```", "mIoU in percent, on the labelled val split."]
    if layout.by_class:
        lines = [line.cells for grid in layout.grids for line in grid.lines]
        parts.append(text_table(layout.grids[0].header, [*layout.quoted, *lines]))
    else:
        for grid in layout.grids:
            parts += [f"{grid.title}:"] * (len(layout.grids) > 1)
            parts.append(text_table(grid.header, [line.cells for line in grid.lines]))
    for grid in layout.costs:
        title = f"{COST_TITLE}{f', {grid.title}' * (len(layout.costs) > 1)} ({COST_NOTE}):"
        parts += [title, text_table(grid.header, [line.cells for line in grid.lines])]
    return "\n\n".join([*parts, *layout.notes, "Where each row comes from:", _where_from(table)]) + "\n"


def _plain_grid(name: str, rows: Sequence[TableRow]) -> Grid:
    """Lay out a line per row: beside the paper's number, or with its gains where the experiment is not the paper's."""
    columns: Dict[str, Callable[[TableRow], str]] = {"row": lambda row: row.row}
    published = any(row.published for row in rows)
    if is_compared(rows):
        columns["reproduced"] = lambda row: row.text("miou")
        columns["published"] = lambda row: _published(row, "miou")
        columns["difference"] = lambda row: _difference(row, "miou")
    else:
        columns["mIoU"] = lambda row: row.text("miou")
        for title, other in references(rows).items():
            columns[title] = partial(_gain, other)
        if published:
            columns[f"published, {ORDER_ALONE}"] = lambda row: _published(row, "miou")
    lines = [
        Line(tuple(cell(row) for cell in columns.values()), beyond=published and not row.published) for row in rows
    ]
    return Grid(name, tuple(columns), lines)


def _class_grid(name: str, rows: Sequence[TableRow], classes: Sequence[str], means: Sequence[str]) -> Grid:
    """Lay out, for each row, what the paper prints, what came out, and their difference or what was gained."""
    keys, compared, others = [*classes, *means], is_compared(rows), references(rows)
    lines = []
    for row in rows:
        measured = f", {MEASURED}" if row.is_measured else ""
        ours = f"{row.row[: len(row.row) - len(measured)]}, {row.encoder}"
        if row.published:
            title = "published" if compared else f"published, {ORDER_ALONE}"
            cells = [_published(row, key) for key in keys]
            lines.append(Line((f"{row.row}, {row.published.backbone}", title, *cells)))
        title = MEASURED if row.is_measured else "reproduced"
        lines.append(Line((ours, title, *(_reproduced(row, key) for key in keys))))
        if compared and row.published:
            lines.append(Line((ours, "difference", *(_difference(row, key) for key in keys))))
        for title, other in others.items():
            if other is not row and not compared:
                lines.append(Line((ours, title, *(_gain(other, row, key) for key in keys))))
    return Grid(name, ("method", "numbers", *classes, *(MEANS[key] for key in means)), lines)


def _cost_grid(name: str, rows: Sequence[TableRow]) -> Grid:
    """Lay out what each row cost: means of the seeds that were run."""
    return Grid(name, ("row", "time", "peak memory"), [Line((row.row, *_cost_cells(row))) for row in rows if row.costs])


def _cost_cells(row: TableRow) -> Cells:
    known = [cost.seconds for cost in row.costs if cost.seconds is not None]
    time = f"{_at_least(cost.whole for cost in row.costs)}{duration(statistics.mean(known))}" if known else NONE
    peaks = mean_of_known([cost.peak_memory_gib for cost in row.costs], absent=NONE)
    return time, peaks if peaks == NONE else f"{_at_least(cost.peak_of_all for cost in row.costs)}{peaks} GiB"


def _at_least(whole: Iterable[bool]) -> str:
    return "" if all(whole) else "at least "


def _means(table: Table) -> List[str]:
    """Return the keys of the means that the paper prints of a table's rows."""
    published = [row.published for row in table.rows if row.published]
    return [key for key in MEANS if any(one.number(key) is not None for one in published)] or ["miou"]


def _reproduced(row: TableRow, key: str) -> str:
    if key in MEANS:
        return row.text(key)
    return percent(row.mean(key)) if row.values(key) else "absent" if row.scores else NOT_RUN


def _published(row: TableRow, key: str) -> str:
    return percent(row.published.number(key)) if row.published else NONE


def _difference(row: TableRow, key: str) -> str:
    mean, published = row.mean(key), row.published.number(key) if row.published else None
    return NONE if mean is None or published is None else difference([mean - published])


def _gain(other: TableRow, row: TableRow, key: str = "miou") -> str:
    return NONE if row is other else difference(row.gains(other, key))


def _quoted_cells(row: Quoted, means: Sequence[str]) -> Cells:
    numbers = [*row.iou, *({"miou": row.miou, "miou13": row.miou13}[key] for key in means)]
    return (f"{row.method}, {row.backbone}", f"quoted from {row.reported_by}", *map(percent, numbers))


def _notes(name: str, rows: Sequence[TableRow]) -> List[str]:
    """Say of an experiment that is not the paper's in what it departs, and which row is the control."""
    notes, keys = [], next((row.departures_from_the_paper for row in rows if row.departures_from_the_paper), [])
    if keys:
        more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
        notes.append(
            f"{name} departs from the paper's settings ({', '.join(keys[:_LISTED])}{more}): compare the order of the "
            "rows, not the numbers."
        )
    control = None if is_compared(rows) else references(rows).get(OVER_CONTROL)
    if control:
        notes.append(f'Gains are in points of mIoU, seed by seed; the control is the row "{control.row}".')
    return notes


def _where_from(table: Table) -> str:
    lines = [
        (
            f"{row.row}, {row.encoder}",
            str(result.seed),
            result.run_folder,
            ", ".join(result.scores.trained_by or ["not known"]) if result.scores else NOT_RUN,
            result.scores.scored_by or "not known" if result.scores else NOT_RUN,
        )
        for row in table.rows
        for result in row.results
    ]
    return text_table(("row", "seed", "run folder", "trained by", "scored by"), lines)
