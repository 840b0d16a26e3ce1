"""Says how far a run is, what it gained, what is not known, and which commands would tell."""

import statistics
from typing import List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.formats import NONE, difference, images_per_second, mean_of_known, over_fewer, percent
from gluon_madapt.names import printable
from gluon_madapt.report.examples import Segmented
from gluon_madapt.report.facts import RunFacts, StageFacts
from gluon_madapt.report.scored import Scored, before_and_after, scoring_command
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.rounds import round_of

_TITLES = {"source": "1 source", "adversarial": "2 adversarial", "proxies": "3 proxies", "retrain": "4 retrain"}


class Missing(NamedTuple):
    """Something that is not there yet, and the command that makes it."""

    text: str
    command: str


class Headline(NamedTuple):
    """A number to begin with, and what it is."""

    number: str
    text: str


def stage_rows(facts: RunFacts) -> List[Tuple[str, ...]]:
    """Return a row per stage: its name, state, images, time, rate, what was replaced or left out, and its folder."""
    return [
        (_TITLES[stage], _state(one), _images(one), _time(one), _rate(one), _left_out(one), str(one.folder))
        for stage, one in facts.stages.items()
        if one.begun or stage in round_of(facts.run.experiment).stages
    ]


def what_is_missing(facts: RunFacts, scored: Sequence[Scored]) -> List[Missing]:
    """Return what there is not, or not all of, in the order in which it is made."""
    missing = []
    for stage, one in facts.stages.items():
        if not one.finished and stage in round_of(facts.run.experiment).stages:
            missing.append(Missing(f"Stage {_TITLES[stage]}: {_state(one)}.", facts.run.command(stage)))
    if facts.run.experiment.data.val is None:
        return missing
    for stage in ("source", "retrain"):
        if facts.stages[stage].finished and not before_and_after(scored, stage):
            missing.append(
                Missing(f"Scores of stage {_TITLES[stage]} on the val split.", scoring_command(facts.run, stage))
            )
    return missing


def training_warnings(facts: RunFacts) -> List[str]:
    """Return what each training says in the end that went wrong, a line each."""
    seed = facts.run.experiment.seed
    return [
        f"Stage {_TITLES[stage]}, seed {seed}: {printable(line)}."
        for stage, one in facts.stages.items()
        for line in one.metrics.warnings
    ]


def headlines(
    runs: Sequence[RunFacts], scored: Sequence[Sequence[Scored]], shown: Sequence[Segmented]
) -> List[Headline]:
    """Return what says most: mIoU before, after and gained; the share of proxies; without truth, agreement."""
    before, after = (_mious(scored, stage) for stage in ("source", "retrain"))
    overs = [_over(scored, stage) for stage in (("source",), ("retrain",), ("source", "retrain"))]
    found = [_mean(before, f"mIoU before: source only{overs[0]}"), _mean(after, f"mIoU after: adapted{overs[1]}")]
    gains = [b - a for a, b in zip(before, after) if a is not None and b is not None]
    if gains:
        found.append(Headline(difference([statistics.mean(gains)]), f"points gained{overs[2]}"))
    shares = [100 * one.proxies.share_labelled for one in runs if one.proxies]
    if shares:
        found.append(Headline(f"{percent(statistics.mean(shares))} %", "of all target pixels got a proxy label"))
    agreements = [100 * one.agreement for one in shown if one.truth is None and one.agreement is not None]
    if agreements:
        text = "of the pixels in the images shown are the same before and after"
        found.append(Headline(f"{percent(statistics.mean(agreements))} %", text))
    return [one for one in found if one]


def without_labels(facts: RunFacts) -> str:
    """Say what cannot be known where no split is labelled; nothing where one is."""
    if facts.run.experiment.data.val is not None:
        return ""
    return (
        "This experiment has no labelled images of the target domain (data.val is not set), so there is no IoU, "
        "and nobody can tell from here whether the adapted model is better. What can be seen: the curves of the "
        "trainings, which pixels got proxies and of which classes, where the models before and after agree, and the "
        "pictures. A few labelled target images, named in data.val, would tell more than all of these."
    )


def _mious(scored: Sequence[Sequence[Scored]], stage: str) -> List[Optional[float]]:
    found = [before_and_after(one, stage) for one in scored]
    return [one.scores.miou if one else None for one in found]


def _over(scored: Sequence[Sequence[Scored]], stages: Sequence[str]) -> str:
    """Say over how many classes the means of some stages are, if not over all."""
    found = [before_and_after(one, stage) for one in scored for stage in stages]
    text = over_fewer(one.scores.iou for one in found if one)
    return text and f",{text}"


def _mean(values: Sequence[Optional[float]], text: str) -> Optional[Headline]:
    if all(value is None for value in values):
        return None
    return Headline(mean_of_known(values), text)


def _state(one: StageFacts) -> str:
    if one.finished:
        return f"done: {one.iterations:,} iterations" if one.stage in TRAININGS else "done"
    if not one.begun:
        return "not begun"
    if one.iterations:
        return f"after iteration {one.done:,} of {one.iterations:,}"
    last = one.log[-1].get("iteration") if one.log else None
    return f"begun, iteration {last:,} logged" if isinstance(last, int) else "begun, not finished"


def _images(one: StageFacts) -> str:
    metrics = one.metrics
    if metrics.images is None:
        return NONE
    if metrics.source_images is not None:
        return f"{metrics.source_images:,} source, {metrics.images:,} target"
    return f"{metrics.images:,}"


def _time(one: StageFacts) -> str:
    metrics = one.metrics
    if metrics.seconds is None:
        return NONE
    minutes, seconds = divmod(round(metrics.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    trained = metrics.iterations_in_these_seconds
    return text if trained in (None, metrics.iterations) else f"{text} for the last {trained:,} iterations"


def _rate(one: StageFacts) -> str:
    rates = [entry for entry in one.log if isinstance(entry.get("images_per_second"), (int, float))]
    if not rates:
        return NONE
    text, waited = images_per_second(rates[-1]["images_per_second"]), rates[-1].get("waiting_for_data")
    return f"{text}, {100 * waited:.0f} % waiting for data" if isinstance(waited, (int, float)) else text


def _left_out(one: StageFacts) -> str:
    metrics = one.metrics
    replaced = sum(metrics.replaced.values()) + metrics.replaced_by_other_workers
    counts = {"replaced": replaced, "left out": len(metrics.left_out), "of unequal sizes": len(metrics.skipped)}
    if not one.finished and not replaced:
        return NONE
    return ", ".join(f"{count:,} {text}" for text, count in counts.items() if count) or "none"
