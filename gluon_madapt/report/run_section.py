"""Gathers the part of a page about one experiment: its runs, one for each seed, and figures of the first."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.report.audit import AuditTables, audit_tables
from gluon_madapt.report.charts import draw_panel
from gluon_madapt.report.classes import Coverage, IouByClass, Named, coverage_by_class, iou_by_class, legend_of
from gluon_madapt.report.curves import panels_of
from gluon_madapt.report.examples import focused, segmented
from gluon_madapt.report.facts import RunFacts, facts_of, outdated
from gluon_madapt.report.figure_files import Figure, FigureFolder
from gluon_madapt.report.figures import Row, figure_5, figure_6, figure_of_thresholds
from gluon_madapt.report.overview import (
    Headline,
    Missing,
    headlines,
    stage_rows,
    training_warnings,
    what_is_missing,
    without_labels,
)
from gluon_madapt.report.scored import Scored, scores_in
from gluon_madapt.report.stored import ProxyRecord
from gluon_madapt.report.versions import SettingGroup, code_of, manifest_inputs, settings_of
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.run import Run


class RunSection(NamedTuple):
    """All that the page says of one experiment; each attribute is a part of it, empty where there is nothing to say."""

    title: str
    anchor: str
    folders: List[str]
    seeds: List[int]
    headlines: List[Headline]
    unknown: str
    stages: List[Tuple[str, ...]]
    missing: List[Missing]
    problems: List[str]
    warnings: List[str]
    legend: List[Named]
    figure_5: List[Row]
    figure_6: List[Row]
    labelled_split: bool
    iou: Optional[IouByClass]
    scored: List[Scored]
    proxies: Optional[ProxyRecord]
    coverage: Optional[Coverage]
    audit: Optional[AuditTables]
    vanished: List[str]
    unseen: List[str]
    thresholds: Optional[Figure]
    curves: List[Tuple[str, List[Figure]]]
    settings: List[SettingGroup]
    inputs: List[Tuple[str, str, str]]
    code: List[Tuple[str, str, str]]


def run_section(title: str, runs: Sequence[Run], figures: FigureFolder, wanted: Sequence[str] = ()) -> RunSection:
    """Gather what there is of an experiment, and draw it.

    Parameters
    ----------
    title : str
        Its heading.
    runs : sequence of Run
        Its run of each seed.
    figures : FigureFolder
        Where the figures go.
    wanted : sequence of str
        Names or numbers of the images to show; a few, spread evenly, by default.
    """
    every = [facts_of(run) for run in runs]
    for one in every:
        one.problems.extend(outdated(one))
    first, classes = every[0], runs[0].classes
    scored = [scores_in(one) for one in every]
    seen = first.attempt(lambda: segmented(first, wanted), [])
    shown = first.attempt(lambda: figure_5(seen, classes, figures), [])
    kept: List[Row] = []
    thresholds, coverage, record = None, coverage_by_class(first, figures), first.proxies
    if record:
        found = first.attempt(lambda: focused(first, wanted), [])
        kept = first.attempt(lambda: figure_6(found, record.t1, classes, figures), [])
        thresholds = first.attempt(lambda: figure_of_thresholds(first, figures), None)
    return RunSection(
        title=title,
        anchor="-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title).split()) or "run",
        folders=[str(run.folder) for run in runs],
        seeds=[run.experiment.seed for run in runs],
        headlines=headlines(every, scored, seen),
        unknown=without_labels(first),
        stages=[row for one in every for row in stage_rows(one)],
        missing=[line for one, found in zip(every, scored) for line in what_is_missing(one, found)],
        warnings=[line for one in every for line in training_warnings(one)],
        legend=legend_of(classes),
        figure_5=shown,
        figure_6=kept,
        labelled_split=runs[0].experiment.data.val is not None,
        iou=iou_by_class(scored, classes, figures),
        scored=[line for one in scored for line in one],
        proxies=first.proxies,
        coverage=coverage,
        audit=audit_tables(first.proxies, classes.names),
        vanished=[row.name for row in coverage.rows if row.vanished] if coverage else [],
        unseen=[row.name for row in coverage.rows if row.unseen] if coverage else [],
        thresholds=thresholds,
        curves=_curves(every, figures),
        settings=settings_of(first),
        inputs=[row for one in every for row in manifest_inputs(one)],
        code=[row for one in every for row in code_of(one)],
        problems=[line for one in every for line in one.problems],  # last: all of the above may add to them
    )


def _curves(every: Sequence[RunFacts], figures: FigureFolder) -> List[Tuple[str, List[Figure]]]:
    """Draw the charts of each training that has logged anything."""
    found = []
    for stage in TRAININGS:
        panels = panels_of([one.stages[stage].log for one in every])
        pictures = [
            figures.add(f"{stage}-{panel.name}", draw_panel(panel), f"{stage}: {panel.in_words()}") for panel in panels
        ]
        if pictures:
            found.append((stage, pictures))
    return found
