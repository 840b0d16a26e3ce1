"""Measures what the trainings take on a device: memory, images a second, and the days of each table."""

from pathlib import Path
from typing import Iterator, Sequence

from gluon_madapt.config import load_experiment
from gluon_madapt.device_check.checks import FAILED, OK, SKIPPED, WARNING, Check
from gluon_madapt.device_check.memory import peak_memory
from gluon_madapt.doctor.machine import free_memory, memory_of
from gluon_madapt.reproduction.estimate import Estimate
from gluon_madapt.reproduction.rows import CONFIGS
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.datasets import image_count
from gluon_madapt.runs.rounds import of_one_round
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.retrain import domains_of

_DAY = 24 * 3600
# An estimate of the doctor's that is further off than by this factor is worth a line.
_FAR_OFF = 1.5


def check_memory(config: Path, device: str, overrides: Sequence[str]) -> Iterator[Check]:
    """Compare the memory of each training with the doctor's estimate, kept and recomputed, where that would fit."""
    for stage in TRAININGS:
        for recompute in ("false", "true"):
            settings = [*overrides, f"{stage}.recompute={recompute}", f"devices=[{device}]", "model.weights=none"]
            run = Run(load_experiment(config, settings))
            size, expected = getattr(run.experiment, stage).batch_size, memory_of(run, stage)
            name = f"{stage}, batch {size}" + ", recompute" * (recompute == "true")
            free = free_memory(run)
            if expected > free:
                text = f"{name}: about {expected:.1f} GiB would be needed, and {free:.1f} are free"
                yield Check(SKIPPED, "memory", text)
                continue
            try:
                taken = peak_memory(config, stage, device, settings)
            except RuntimeError as error:
                yield Check(FAILED, "memory", f"{name}: estimated at {expected:.1f} GiB, and failed with {error}")
                continue
            near = 1 / _FAR_OFF < taken / expected < _FAR_OFF
            text = f"{name}: {taken:.1f} GiB, and the doctor says {expected:.1f}"
            yield Check(OK if near else WARNING, "memory", text, {name: {"gib": taken, "estimate": expected}})


def check_speed(root: Path, device: str, tables: Sequence[int], overrides: Sequence[str]) -> Iterator[Check]:
    """Measure an iteration of each kind, and reckon the days of whole tables from them.

    Data sets that are not there count as published; reading files is left out.
    """
    estimate, settings = Estimate(), [*overrides, f"devices=[{device}]"]
    seen = set()
    for table in tables:
        configs = [root / "configs" / f"{name}.yaml" for name in CONFIGS[table]]
        seconds = 0.0
        for plan in Reproduction(root, table, configs, overrides=settings).plans:
            for step in plan.steps.values():
                taken = estimate.seconds(step) or 0.0
                seconds += taken
                kind = (step.run.experiment.name, step.stage)
                if not step.scores and taken and kind not in seen:
                    seen.add(kind)
                    yield _rate(step, taken)
        text = f"table {table}: {seconds / _DAY:.1f} days on this device alone, reading files left out"
        yield Check(OK, "speed", text, {f"table {table}, days": seconds / _DAY})


def _rate(step: Step, seconds: float) -> Check:
    experiment = step.run.experiment
    if step.stage in TRAININGS:
        training, domains = of_one_round(getattr(experiment, step.stage)), domains_of(experiment, step.stage)
        images = training.iterations * training.batch_size * training.accumulate * len(domains)
    else:
        images = image_count(experiment, "target") or 0
    name = f"{experiment.name}, {step.stage}"
    text = f"{name}: {images / seconds:.2f} images a second"
    return Check(OK, "speed", text, {f"{name}, images a second": images / seconds})
