"""Plans what the rows of a table need: the stages of an experiment and of its ablations.

An ablation is a folder of its own within the run folder.  It shares every stage that none of its settings decides, with
the experiment or with the ablation that it is based on.
"""

import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from gluon_madapt.config import base_of, load_experiment, stated_settings
from gluon_madapt.proxy_maps.proxy_set import shares_of
from gluon_madapt.reproduction.jobs import Job
from gluon_madapt.reproduction.rows import FORMER_VARIANTS, Row
from gluon_madapt.reproduction.steps import Step, decided_by
from gluon_madapt.run_layout import CACHE, CHECKPOINT, SCORES, STAGE_TOOLS, STAGES, score_file
from gluon_madapt.runs.ownership import (
    is_free,
    move_aside,
    refuse_other_cache,
    refuse_other_score_folder,
    refuse_other_stage,
)
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.proxies import settings_folder


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
    tensorboard : bool
        Whether trainings write event files for TensorBoard, too.

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
        tensorboard: bool = False,
    ):
        self._root, self._config, self._overrides, self._seed = root, config, list(overrides), seed
        self._label, self._tensorboard = label, tensorboard
        self._runs: Dict[Tuple[str, int], Run] = {}
        self.folder = folder
        self.steps: Dict[str, Step] = {}
        self.run = self._run("")

    def add(self, row: Row) -> Step:
        """Plan what a row needs; return the step that scores it."""
        home = self._home(row.variant, row.stage)
        trained = self._add_stage(row.variant, row.stage, row.number)
        run = self._run(row.variant, row.number)
        shared = self._run(home).experiment.evaluation == run.experiment.evaluation
        owner = home if shared else row.variant
        precision = run.experiment.evaluation.precision
        scores = self._run(owner, row.number).folder / SCORES / score_file(row.stage, row.multi_scale, precision)
        name = self._name(owner, f"score {row.stage}{', multi-scale' * row.multi_scale}", row.number)
        checkpoint = self._run(home, row.number).folder / row.stage / CHECKPOINT
        arguments = ["--stage", row.stage, "--checkpoint", str(checkpoint)]
        arguments += ["--out", str(scores), *["--multi-scale"] * row.multi_scale]
        command = self._command("eval.py", row.variant if owner else "", arguments, row.number)
        step = Step(name, run, row.stage, command, (trained,), scores, checkpoint, row.multi_scale)
        return self.steps.setdefault(name, step)

    def jobs(self, done: Set[str]) -> List[Job]:
        """Return the steps as jobs, but for those that are done.

        Proxies at several p1 and p2 from one network pass are one job: they share the passes over its maps.
        """
        first = self._name("", "proxies")
        sharing = {name for name, step in self.steps.items() if first in self.steps and self._shares_scans(step)}
        left = set(self.steps) - done
        also = [shares_of(self.steps[name].run) for name in self.steps if name in sharing & left]
        pending = left - sharing | ({first} if also else set())
        logs = self.folder / "logs"
        jobs = []
        for step in (self.steps[name] for name in self.steps if name in pending):
            command = step.command
            if step.name == first and also:
                command += ("--also", *(f"{one.p1},{one.p2}" for one in also))
            needs = {first if name in sharing else name for name in (*step.needs, *step.after)} - {step.name}
            log = logs / f"{_file_name(step.name[len(self._label) :])}.log"
            before = tuple(name for name in self.steps if name in needs & pending)
            jobs.append(Job(step.name, command, log, before, step.length))
        return jobs

    def _shares_scans(self, step: Step) -> bool:
        """Tell whether a step makes proxies from the experiment's own network pass, at other shares."""
        if step.stage != "proxies" or str(self.folder / CACHE) not in step.command:
            return False
        return step.run.folder == settings_folder(self.folder, shares_of(step.run))

    def move_aside(self) -> None:
        """Make way for a fresh start: rename the folders of all stages, of the network's passes and of the scores.

        Raises
        ------
        UserError
            If any of them holds something else; then none is renamed.
        """
        checks = {CACHE: refuse_other_cache, "scores": refuse_other_score_folder}
        names = [(step.run.folder, name) for step in self.steps.values() for name in (step.stage, *checks)]
        for folder, name in names:  # all of them, before any is moved
            checks.get(name, refuse_other_stage)(folder / name)
        for folder, name in names:
            if not is_free(folder / name):
                move_aside(folder / name)

    def _add_stage(self, variant: str, stage: str, number: int = 1) -> str:
        """Plan a stage, of a round of proxies, and all before it; return its step's name."""
        home = self._home(variant, stage if number == 1 else STAGES[-1])
        name = self._name(home, stage, number)
        if name in self.steps:
            return name
        run = self._run(home, number)
        before = round_of(run.experiment).before(stage, number)
        needs = tuple(self._add_stage(home, *one) for one in before)
        arguments: List[str] = []
        after: Tuple[str, ...] = ()
        if home and number == 1:
            # What a stage starts from: its model's stage, which another folder may hold.
            starts = [name for name, _ in before] if stage != "retrain" else []
            if stage == "retrain" and run.experiment.retrain.init == "source":
                starts = ["source"]
            for start in starts:
                arguments += ["--from", str(self._folder(self._home(home, start)) / start / CHECKPOINT)]
        if stage == "proxies":
            passed = self._passed(home, number)
            arguments += ["--cache", str(passed)]
            # Two processes would both run the networks over the same images.
            after = tuple(one.name for one in self.steps.values() if str(passed) in one.command)[:1]
        elif self._tensorboard:
            arguments.append("--tensorboard")
        command = self._command(STAGE_TOOLS[stage], home, arguments, number)
        self.steps[name] = Step(name, run, stage, command, needs, after=after)
        return name

    def _passed(self, home: str, number: int) -> Path:
        """Return the folder of the network pass that proxies are made from, the same one for those of other shares."""
        any_share = {"p1": 1, "p2": 1, "p2_growth": 0, "p2_most": 1}
        if number > 1:
            return self._run(home, number).folder / CACHE
        ((labelling, _),) = round_of(self._run(home).experiment).before("proxies")
        before = self._home(home, labelling)
        settings = [self._run(one).experiment.proxies.model_copy(update=any_share) for one in (home, before)]
        return self._folder(before if settings[0] == settings[1] else home) / CACHE

    def _run(self, variant: str, number: int = 1) -> Run:
        if (variant, number) not in self._runs:
            experiment = load_experiment(self._config, [*self._overrides, *self._changes(variant)], self._seed)
            run = Run(experiment, self._folder(variant), config=self._config, number=number)
            self._runs[variant, number] = run
        return self._runs[variant, number]

    def _changes(self, variant: str) -> List[str]:
        files = (self._ablation(one) for one in self._line(variant))
        return [setting for path in files for setting in stated_settings(path)]

    def _line(self, variant: str) -> List[str]:
        """Return the ablations that a variant is based on, the last one first, and itself."""
        if not variant:
            return []
        base = base_of(self._ablation(variant))
        is_ablation = base is not None and base == self._ablation(base.stem)
        return [*self._line(base.stem if base and is_ablation else ""), variant]

    def _ablation(self, variant: str) -> Path:
        return self._root / "configs" / "ablations" / f"{variant}.yaml"

    def _home(self, variant: str, stage: str) -> str:
        """Return whose folder holds a stage of a variant: that of the first in its line that decides the same."""
        decided = decided_by(self._run(variant).experiment, stage)
        line = ("", *self._line(variant))
        return next(one for one in line if decided_by(self._run(one).experiment, stage) == decided)

    def _folder(self, variant: str) -> Path:
        former = self.folder / FORMER_VARIANTS.get(variant, variant)
        return former if former.is_dir() else self.folder / variant

    def _name(self, variant: str, text: str, number: int = 1) -> str:
        later = f"round {number}, " if number > 1 else ""
        return f"{self._label}{variant}{'/' * bool(variant)}{later}{text}"

    def _command(self, tool: str, variant: str, arguments: Sequence[str], number: int = 1) -> Tuple[str, ...]:
        settings = [*self._overrides, *self._changes(variant)]
        seed = [] if self._seed is None else ["--seed", str(self._seed)]
        common = ["--config", str(self._config), *seed, "--run-dir", str(self._folder(variant))]
        common += [word for one in settings for word in ("--set", one)]
        common += ["--round", str(number)] if number > 1 else []
        return (sys.executable, str(self._root / "tools" / tool), *common, *arguments)


def _file_name(name: str) -> str:
    return name.replace(",", "").replace("/", "-").replace(" ", "-")
