"""What the rows of a table need: the stages of an experiment and of its ablations.

An ablation is a folder of its own within the run folder.  It shares every stage that none of its settings decides.
"""

import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from gluon_madapt.config import Experiment, load_experiment, stated_settings
from gluon_madapt.reproduction.jobs import Job
from gluon_madapt.reproduction.rows import Row
from gluon_madapt.stages.network_pass import CACHE
from gluon_madapt.stages.run import CHECKPOINT, STAGE_TOOLS, STAGES, Run, move_aside

# What decides the result of each stage, beside what decides that of the stage before.
_DECIDES = {
    "source": ("seed", "classes", "model", "data.source", "source"),
    "adversarial": ("data.target", "adversarial"),
    "proxies": ("proxies",),
    "retrain": ("retrain",),
}


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


class Plan:
    """The steps for some rows, each step once.

    Parameters
    ----------
    root : Path
        The project: its tools and its configs/ablations.
    config : Path
        The experiment's file.
    overrides : sequence of str
        As for `load_experiment`.
    seed : int, optional
        The experiment's seed, in place of the config's.
    folder : Path
        The run folder; ablations have folders below it.
    label : str
        What tells this plan's steps from those of others.

    Attributes
    ----------
    run : Run
        The experiment itself.
    steps : dict of str to Step
        The steps by name, each after those that it needs.
    """

    def __init__(
        self,
        root: Path,
        config: Path,
        overrides: Sequence[str],
        seed: Optional[int],
        folder: Path,
        label: str = "",
    ):
        self._root, self._config, self._overrides, self._seed = root, config, list(overrides), seed
        self._label = label
        self._runs: Dict[str, Run] = {}
        self.folder = folder
        self.steps: Dict[str, Step] = {}
        self.run = self._run("")

    def add(self, row: Row) -> Step:
        """Plan what a row needs; return the step that scores it."""
        home = self._home(row.variant, row.stage)
        trained = self._add_stage(row.variant, row.stage)
        run = self._run(row.variant)
        shared = self._run(home).experiment.evaluation == run.experiment.evaluation
        owner = home if shared else row.variant
        scores = self._folder(owner) / "scores" / (row.stage + "_multi_scale" * row.multi_scale + ".json")
        name = self._name(owner, f"score {row.stage}{', multi-scale' * row.multi_scale}")
        checkpoint = self._folder(home) / row.stage / CHECKPOINT
        arguments = ["--stage", row.stage, "--checkpoint", str(checkpoint)]
        arguments += ["--out", str(scores), *["--multi-scale"] * row.multi_scale]
        command = self._command("eval.py", row.variant if owner else "", arguments)
        step = Step(name, run, row.stage, command, (trained,), scores, checkpoint, row.multi_scale)
        return self.steps.setdefault(name, step)

    def jobs(self, done: Set[str]) -> List[Job]:
        """Return the steps as jobs, but for those that are done."""
        left = [step for step in self.steps.values() if step.name not in done]
        names = {step.name for step in left}
        logs = self.folder / "logs"
        return [
            Job(
                step.name,
                step.command,
                logs / f"{_file_name(step.name[len(self._label) :])}.log",
                tuple(name for name in (*step.needs, *step.after) if name in names),
            )
            for step in left
        ]

    def move_aside(self) -> None:
        """Make way for a fresh start: rename the folders of all stages, of the network's passes and of the scores."""
        for step in self.steps.values():
            for name in (step.stage, CACHE, "scores"):
                if (step.run.folder / name).exists():
                    move_aside(step.run.folder / name)

    def _add_stage(self, variant: str, stage: str) -> str:
        """Plan a stage and all before it; return its step's name."""
        home = self._home(variant, stage)
        name = self._name(home, stage)
        if name in self.steps:
            return name
        before = STAGES[: STAGES.index(stage)][-1:]
        needs = tuple(self._add_stage(home, one) for one in before)
        run, arguments, after = self._run(home), [], ()
        if home:
            start = {"adversarial": "source", "proxies": "adversarial"}.get(stage)
            if stage == "retrain" and run.experiment.retrain.init == "source":
                start = "source"
            if start:
                arguments += ["--from", str(self._folder(self._home(home, start)) / start / CHECKPOINT)]
        if stage == "proxies":
            passed = self._folder(self._home(home, "adversarial")) / CACHE
            arguments += ["--cache", str(passed)]
            # Two processes would both run the networks over the same images.
            after = tuple(one.name for one in self.steps.values() if str(passed) in one.command)[:1]
        command = self._command(STAGE_TOOLS[stage], home, arguments)
        self.steps[name] = Step(name, run, stage, command, needs, after=after)
        return name

    def _run(self, variant: str) -> Run:
        if variant not in self._runs:
            experiment = load_experiment(self._config, [*self._overrides, *self._changes(variant)], self._seed)
            self._runs[variant] = Run(experiment, self._folder(variant), config=self._config)
        return self._runs[variant]

    def _changes(self, variant: str) -> List[str]:
        return stated_settings(self._root / "configs" / "ablations" / f"{variant}.yaml") if variant else []

    def _home(self, variant: str, stage: str) -> str:
        """Return whose folder holds a stage of a variant: the experiment's own, if it decides the same."""
        same = _decided(self._run(variant).experiment, stage) == _decided(self._run("").experiment, stage)
        return "" if same else variant

    def _folder(self, variant: str) -> Path:
        return self.folder / variant

    def _name(self, variant: str, text: str) -> str:
        return f"{self._label}{variant}{'/' * bool(variant)}{text}"

    def _command(self, tool: str, variant: str, arguments: Sequence[str]) -> Tuple[str, ...]:
        settings = [*self._overrides, *self._changes(variant)]
        seed = [] if self._seed is None else ["--seed", str(self._seed)]
        common = ["--config", str(self._config), *seed, "--run-dir", str(self._folder(variant))]
        common += [word for one in settings for word in ("--set", one)]
        return (sys.executable, str(self._root / "tools" / tool), *common, *arguments)


def _file_name(name: str) -> str:
    return name.replace(",", "").replace("/", "-").replace(" ", "-")


def _decided(experiment: Experiment, stage: str) -> List:
    """Return the settings that decide a stage and those before it."""
    sections = [key for one in STAGES[: STAGES.index(stage) + 1] for key in _DECIDES[one]]
    found = []
    for key in sections:
        value = experiment
        for part in key.split("."):
            value = getattr(value, part)
        found.append(value)
    return found
