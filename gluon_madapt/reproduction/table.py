"""One of the paper's tables, for some experiments and seeds: its plans, and its lines as far as they were run."""

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.reproduction.jobs import Job, run_jobs
from gluon_madapt.reproduction.plan import DONE, Plan, Step
from gluon_madapt.reproduction.results import Line, Result
from gluon_madapt.reproduction.rows import Row, rows_of
from gluon_madapt.stages.run import Run


class _Experiment(NamedTuple):
    """An experiment of the table: its rows, and for each seed what is to be run and where each row's scores are."""

    rows: List[Row]
    plans: List[Plan]
    readers: List[Tuple[Plan, List[Step]]]


class Reproduction:
    """A table to fill.

    Parameters
    ----------
    root : Path
        The project: its tools and its configs/ablations.
    table : int
        1 to 4.
    configs : sequence of Path
        The experiments.
    overrides : sequence of str
        As for `load_experiment`, for all of them.
    seeds : sequence of int, optional
        Each has a folder of its own in the run folder; by default that is the experiment's own seed, in the run folder.
    seed : int, optional
        In place of the experiment's own seed, where ``seeds`` are not given.
    folder : Path, optional
        The run folder, runs/NAME by default; of several experiments, the folder above theirs.
    wanted : callable
        Tells by the text of a row whether it is to be run.
    fresh : bool
        Whether to start over, moving aside what is there.
    """

    def __init__(
        self,
        root: Path,
        table: int,
        configs: Sequence[Path],
        overrides: Sequence[str] = (),
        seeds: Optional[Sequence[int]] = None,
        seed: Optional[int] = None,
        folder: Optional[Path] = None,
        wanted: Callable[[str], bool] = lambda text: True,
        fresh: bool = False,
    ):
        self._experiments: List[_Experiment] = []
        self._titles: Dict[str, str] = {}
        self.folders: List[Path] = []
        several = len(configs) > 1 or len(seeds or ()) > 1
        for config in configs:
            experiment = load_experiment(config, overrides, seed)
            rows = rows_of(table, experiment)
            base = folder or Path("runs") / experiment.name
            base = base / experiment.name if folder and len(configs) > 1 else base
            self.folders.append(base)
            one = _Experiment(rows, [], [])
            for number in [seed] if seeds is None else seeds:
                place = base if seeds is None else base / f"seed-{number}"
                label = f"{experiment.name}, seed {experiment.seed if number is None else number}: " if several else ""
                plans = [Plan(root, config, overrides, number, place, label, fresh) for _ in range(2)]
                for row in filter(lambda row: wanted(row.text), rows):
                    self._titles[plans[0].add(row).name] = label + row.text
                one.plans.append(plans[0])
                one.readers.append((plans[1], [plans[1].add(row) for row in rows]))
            if not one.plans[0].steps:
                raise UserError(
                    f"no row of table {table} is wanted: expected some of {'; '.join(r.text for r in rows)}"
                )
            self._experiments.append(one)

    @property
    def plans(self) -> List[Plan]:
        """What is to be run, by experiment and seed."""
        return [plan for one in self._experiments for plan in one.plans]

    def lines(self) -> List[Line]:
        """Return all rows with what was found of their scores."""
        lines = []
        for one in self._experiments:
            for index, row in enumerate(one.rows):
                results = [
                    Result(
                        plan.run.experiment.seed, str(steps[index].scores.parent.parent), plan.scores_of(steps[index])
                    )
                    for plan, steps in one.readers
                ]
                experiment = one.plans[0].run.experiment
                lines.append(Line(experiment.name, experiment.model.encoder, row, results))
        return lines

    def run(self, workers: int, on_scored: Callable[[str, float], None]) -> None:
        """Run what is not done yet; ``on_scored`` is called with the name of each row and its mIoU in percent."""
        jobs = [job for plan in self.plans for job in plan.jobs()]
        steps = {name: (plan, step) for plan in self.plans for name, step in plan.steps.items()}

        def on_done(job: Job) -> None:
            plan, step = steps[job.name]
            if step.scores:
                on_scored(self._titles[step.name], plan.scores_of(step)["miou"])

        run_jobs(jobs, workers, on_done)

    def missing(self) -> List[str]:
        """Say what the steps that are left need and is not there: data sets, files of weights."""
        lines: List[str] = []
        for plan in self.plans:
            states = plan.states()
            for step in plan.steps.values():
                if states[step.name] != DONE:
                    lines += _missing(step)
        return list(dict.fromkeys(lines))


def _result(plan: Plan, step: Step) -> Result:
    return Result(plan.run.experiment.seed, str(step.scores.parent.parent), plan.scores_of(step))


def _missing(step: Step) -> List[str]:
    run, experiment = step.run, step.run.experiment
    if step.scores:
        needed = ["val"] + ["target"] * bool(experiment.evaluation.refresh)
    else:
        needed = {"source": ["source"], "adversarial": ["source", "target"]}.get(step.stage, ["target"])
    lines = [_missing_images(run, which) for which in needed]
    from_imagenet = step.stage == "source" or (step.stage == "retrain" and experiment.retrain.init == "imagenet")
    if from_imagenet and not step.scores:
        lines.append(_missing_weights(run))
    return [line for line in lines if line]


def _missing_images(run: Run, which: str) -> str:
    try:
        run.dataset(which, labelled=which == "val")
    except UserError as error:
        return f"data.{which}: {error}"
    return ""


def _missing_weights(run: Run) -> str:
    weights = run.experiment.model.weights
    if weights in ("none", "zoo") or Path(weights).is_file():
        return ""
    return f"model.weights: {weights}: no such file: see pretrained/README.md for where to get it"
