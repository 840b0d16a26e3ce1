"""Reads the scores of a run's models; computes none."""

from functools import partial
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from gluon_madapt.data import is_same
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import in_words
from gluon_madapt.files.records import read_record
from gluon_madapt.formats import over_fewer, percent
from gluon_madapt.report.facts import RunFacts, StageFacts
from gluon_madapt.report.stored import ScoreFile, Scores
from gluon_madapt.reproduction.reuse import fingerprint_of, scores_of
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.run_layout import METRICS, SCORES, score_file
from gluon_madapt.runs.run import Run

_EXPECTED = "is of another checkpoint, protocol, seed or other images than this run has now: not shown; score it again"


class Scored(NamedTuple):
    """The scores of a stage's model: by what protocol, in words, on how many images, and which file says so."""

    stage: str
    scores: Scores
    protocol: str
    images: Optional[int]
    path: Path
    comparable: bool

    @property
    def miou(self) -> str:
        """The mIoU as text, and over how many classes it is if not over all."""
        if self.scores.miou is None:
            return "no labelled pixel"
        return percent(self.scores.miou) + over_fewer([self.scores.iou])


def scores_in(facts: RunFacts) -> List[Scored]:
    """Return all scores of a run: those of scores/ that are of its checkpoints, then those of the last iteration."""
    paths = sorted((facts.run.folder / SCORES).glob("*.json"))
    found = [facts.attempt(partial(_stored, facts, path), None) for path in paths]
    scored = [one for one in found if one]
    for stage, one in facts.stages.items():
        if (
            one.metrics.val
            and _is_of_this_val(facts, one)
            and not any(other.stage == stage and other.comparable for other in scored)
        ):
            text = "at the last iteration of the training"
            scored.append(Scored(stage, one.metrics.val, text, None, one.folder / "metrics.json", True))
    return sorted(scored, key=lambda one: list(facts.stages).index(one.stage))


def before_and_after(scored: Sequence[Scored], stage: str) -> Optional[Scored]:
    """Return the single-scale scores of a stage."""
    return next((one for one in scored if one.stage == stage and one.comparable), None)


def scoring_command(run: Run, stage: str) -> str:
    """Return the command that scores a stage's model for the report."""
    out = run.folder / SCORES / score_file(stage, False, run.experiment.evaluation.precision)
    return run.command_of("eval.py", "--stage", stage, "--out", str(out))


def _is_of_this_val(facts: RunFacts, one: StageFacts) -> bool:
    """Tell whether the images of the scores of a training are those of now; say so where they are not."""
    before, now = one.metrics.made_from.get("val"), fingerprint_of(facts.run, "val")
    same = None in (before, now) or is_same(before, now)
    if not same:
        facts.problems.append(
            f"{one.folder / METRICS}: its scores are of another val split than there is now: not shown"
        )
    return same


def _stored(facts: RunFacts, path: Path) -> Scored:
    stored = read_record(path, ScoreFile)
    protocol = stored.protocol
    if protocol.stage not in facts.stages:
        raise UserError(f"{path}: is of stage {protocol.stage}: expected one of {', '.join(facts.stages)}")
    checkpoint = facts.stages[protocol.stage].checkpoint
    run = facts.run.scored_in(protocol.precision)
    step = Step(path.name, run, protocol.stage, (), (), path, checkpoint, protocol.mirror)
    if scores_of(step) is None:
        raise UserError(f"{path}: {_EXPECTED}")
    same = protocol.precision == facts.run.experiment.evaluation.precision
    comparable = same and not protocol.mirror and not protocol.adabn
    text = in_words(protocol.model_dump(), stored.computed_in).split(", ", 1)[1]
    return Scored(protocol.stage, stored, text, stored.images, path, comparable)
