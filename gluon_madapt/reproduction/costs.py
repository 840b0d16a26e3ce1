"""Adds up what a row cost: the time of the trainings and network passes up to its model, and their peak memory."""

from typing import Any, Dict, List, Optional

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_json
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import Cost
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.run_layout import COST, METRICS


def cost_of(plan: Plan, scoring: Step) -> Cost:
    """Return what the stages up to the model that a step scores have taken, as far as their files say it."""
    stages: Dict[str, Step] = {}
    left = list(scoring.needs)
    while left:
        name = left.pop()
        if name not in stages:
            stages[name] = plan.steps[name]
            left += stages[name].needs
    metrics = [_metrics(step) for step in stages.values()]
    seconds = [seconds_of(values) for values in metrics]
    # One that had nothing left to train says what it took to find that out.
    trained = [values for values in metrics if values.get("iterations_in_these_seconds") != 0]
    peaks: List[float] = [values["peak_memory_gib"] for values in trained if values.get("peak_memory_gib")]
    known = [value for value in seconds if value is not None]
    return Cost(
        seconds=sum(known) if known else None,
        whole=len(known) == len(seconds),
        peak_memory_gib=max(peaks) if peaks else None,
        peak_of_all=len(peaks) == len(metrics),
    )


def seconds_of(metrics: Dict[str, Any]) -> Optional[float]:
    """Return what a stage has taken, by its metrics.json, or of stage 3 its cost.json; None where that is not known.

    A training that was stopped knows how long its last iterations took, and the others count as long.  Proxies that
    were not made from start to end by one process, or that share the work with others, do not know it.
    """
    seconds, trained = metrics.get("seconds"), metrics.get("iterations_in_these_seconds")
    if seconds is None:
        return None
    if "iterations" not in metrics:
        return seconds
    if trained is None:  # of an earlier version
        return None
    return seconds * metrics["iterations"] / trained if trained else None


def _metrics(step: Step) -> Dict[str, Any]:
    try:
        return read_json(step.run.folder / step.stage / (COST if step.stage == "proxies" else METRICS))
    except UserError:  # not there, or damaged: then it is not known
        return {}
