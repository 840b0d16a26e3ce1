"""Describes a step of a plan: a stage or a scoring, what it needs, and which settings decide it."""

from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from gluon_madapt.config import Experiment
from gluon_madapt.run_layout import STAGES
from gluon_madapt.runs.run import Run

# What decides the result of each stage, beside what decides that of the stage before.
_DECIDES = {
    "source": ("seed", "classes", "model", "data.source", "source"),
    "adversarial": ("data.target", "adversarial"),
    "proxies": ("proxies",),
    "retrain": ("retrain",),
}

# As many scorings a stage takes as long as: a training much longer than any scoring.
_SCORINGS = {"source": 50, "adversarial": 50, "proxies": 5, "retrain": 50}


class Step(NamedTuple):
    """One command: a stage or a scoring.

    Parameters
    ----------
    name : str
        Its name, unique in a plan.
    run : Run
        The experiment and its folder.
    stage : str
        The stage; of a scoring, the stage whose model is scored.
    command : tuple of str
        What runs it.
    needs : tuple of str
        The steps that it takes its inputs from.
    after : tuple of str
        Steps that must not run at the same time, and come first if they are to be run.
    scores, checkpoint : Path, optional
        Where a scoring leaves its scores, and what it scores.
    multi_scale : bool
        How it scores.
    """

    name: str
    run: Run
    stage: str
    command: Tuple[str, ...]
    needs: Tuple[str, ...]
    scores: Optional[Path] = None
    checkpoint: Optional[Path] = None
    multi_scale: bool = False
    after: Tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """About how long it takes, in scorings at one scale, as far as the order of steps is concerned."""
        if self.scores:
            return 2 * len(self.run.experiment.evaluation.scales) if self.multi_scale else 1
        return _SCORINGS[self.stage]

    @property
    def folder(self) -> Path:
        """The run folder that holds the stage or the scores."""
        return self.scores.parent.parent if self.scores else self.run.folder


def decided_by(experiment: Experiment, stage: str) -> List:
    """Return the settings that decide a stage and those before it."""
    sections = [key for name in STAGES[: STAGES.index(stage) + 1] for key in _DECIDES[name]]
    values = []
    for key in sections:
        value = experiment
        for part in key.split("."):
            value = getattr(value, part)
        values.append(value)
    return values
