"""Writes the page: one HTML file that needs nothing beside it, neither a network nor a script."""

import logging
from functools import partial
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import write_text
from gluon_madapt.files.records import read_record
from gluon_madapt.report.examples import check_wanted
from gluon_madapt.report.facts import attempt, holds_a_stage, stored_run
from gluon_madapt.report.figure_files import FigureFolder
from gluon_madapt.report.rendering import rendered
from gluon_madapt.report.run_section import RunSection, run_section
from gluon_madapt.report.versions import versions_here
from gluon_madapt.reproduction.layout import Layout, layout_of
from gluon_madapt.reproduction.results import Table
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.runs.ownership import refuse_other_page
from gluon_madapt.runs.run import Run

REPORT = "report.html"

_log = logging.getLogger(__name__)


class Group(NamedTuple):
    """An experiment: its title, and its run of each seed."""

    title: str
    runs: Sequence[Run]


def write_report(
    out: Path, title: str, groups: Sequence[Group], tables: Sequence[Path], wanted: Sequence[str] = ()
) -> Path:
    """Write a page, and its figures as PNG files to a folder beside it, which has the page's name without its suffix.

    Parameters
    ----------
    out : Path
        The page.
    title : str
        Its heading.
    groups : sequence of Group
        The experiments.
    tables : sequence of Path
        The table-N.json files to show.
    wanted : sequence of str
        Names or numbers of the images to show; a few, spread evenly, by default.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    UserError
        If it cannot be written, something else is in its place, or a wanted image is not there.
    """
    refuse_other_page(out)
    problems: List[str] = []
    figures = FigureFolder(out.with_suffix(""))
    if wanted:
        check_wanted(groups[0].runs[0], wanted)
    read = [attempt(problems, partial(read_record, path, Table), None) for path in tables]
    layouts = [layout_of(table) for table in read if table]
    sections: List[RunSection] = []
    for group in groups:
        for part in (group, *_further_rounds(group)):
            prefix = "" if not sections else f"{_file_name(part.title)}-"
            sections.append(run_section(part.title, part.runs, figures.below(prefix), wanted))
    write_text(out, page(title, layouts, sections, problems, str(figures.folder)))
    for line in [*problems, *(line for section in sections for line in section.problems)]:
        _log.warning("report: %s", line)
    return out


def report_of_folder(
    folder: Path,
    out: Optional[Path] = None,
    wanted: Sequence[str] = (),
    overrides: Sequence[str] = (),
    config: Optional[Path] = None,
) -> Path:
    """Write the report of a run folder, or of one that holds the runs of several seeds.

    Raises
    ------
    UserError
        If the folder holds no run, or the page cannot be written.
    """
    runs = [stored_run(one, overrides, config) for one in _run_folders(folder)]
    several = runs[0].folder != folder
    tables = sorted((folder / "tables").glob("table-*.json"))
    if several:
        tables += sorted((folder / "tables").glob("seeds-*/table-*.json"))
    return write_report(
        out or folder / REPORT, f"Report of {folder}", [Group(runs[0].experiment.name, runs)], tables, wanted
    )


def report_of_tables(reproduction: Reproduction, tables: Sequence[Path], out: Path, title: str) -> Path:
    """Write the report of reproduced tables and the runs behind them."""
    groups = [Group(name, [_as_stored(run) for run in runs]) for name, runs in reproduction.runs().items()]
    return write_report(out, title, groups, tables)


def _as_stored(run: Run) -> Run:
    """Return the run with the settings that its folder holds in place of the file they came from, for commands."""
    stored = stored_run(run.folder).config if holds_a_stage(run.folder) else run.config
    return Run(run.experiment, run.folder, config=stored)


def _run_folders(folder: Path) -> List[Path]:
    """Return the folder itself if it holds a stage, or else those of its seeds."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: expected that of a run")
    if holds_a_stage(folder):
        return [folder]
    seeds = sorted(
        (one for one in folder.glob("seed-*") if holds_a_stage(one)), key=lambda one: (len(one.name), one.name)
    )
    if seeds:
        return seeds
    below = [one.name for one in sorted(folder.iterdir()) if one.is_dir() and (holds_a_stage(one) or _has_seeds(one))]
    hint = f": did you mean {folder / below[0]}?" if below else ": expected one with source/ and so on in it"
    raise UserError(f"{folder}: holds no stage of a run{hint}")


def _has_seeds(folder: Path) -> bool:
    return any(holds_a_stage(one) for one in folder.glob("seed-*"))


def _further_rounds(group: Group) -> List[Group]:
    """Return what goes beyond the paper: rounds 2 and more of proxies and retraining."""
    found = [[one for one in run.folder.glob("round-*") if _is_a_round(one)] for run in group.runs]
    numbers = sorted({int(one.name[len("round-") :]) for folders in found for one in folders})
    return [
        Group(
            f"{group.title}, beyond the paper: round {number}",
            [
                stored_run(run.folder, number=number)
                for run, folders in zip(group.runs, found)
                if run.folder / f"round-{number}" in folders
            ],
        )
        for number in numbers
    ]


def _is_a_round(folder: Path) -> bool:
    return folder.name[len("round-") :].isdecimal() and holds_a_stage(folder)


def _file_name(title: str) -> str:
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title).split())


def page(
    title: str, tables: Sequence[Layout], runs: Sequence[RunSection], problems: Sequence[str], figures: str
) -> str:
    """Return the page; every text that comes from data is escaped.

    Parameters
    ----------
    title : str
        Its heading.
    tables : sequence of Layout
        The tables of the paper that were reproduced.
    runs : sequence of RunSection
        The experiments.
    problems : sequence of str
        What could not be read, a line each.
    figures : str
        Where the figures lie as files, to be named.
    """
    values = {"title": title, "tables": tables, "runs": runs, "problems": problems, "figures": figures}
    return rendered("page.html", versions=versions_here(), **values)
