"""Runs one of the paper's tables, for some experiments and seeds, and gathers its results as far as they are there."""

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.formats import over_fewer
from gluon_madapt.reproduction.compared import compared_rows
from gluon_madapt.reproduction.costs import cost_of
from gluon_madapt.reproduction.jobs import Job, longest_chain_first, run_jobs
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import Published, Result, RowScores, Table, TableRow, table_of
from gluon_madapt.reproduction.reuse import DONE, REFUSED, forget_images, opened, reuse_of, scores_of
from gluon_madapt.reproduction.rows import Row, current_text, departures, rows_of
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.retrain import domains_of


class _Seed(NamedTuple):
    """One experiment and seed: what of it is to be run, and all of it, to read what is there."""

    wanted: Plan
    everything: Plan
    scorings: List[Step]


class _Experiment(NamedTuple):
    name: str
    encoder: str
    rows: List[Row]
    departures: List[str]
    seeds: List[_Seed]


class Reproduction:
    """A table to fill.

    Parameters
    ----------
    root : Path
        The project: its tools and its configs.
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
    wanted : sequence of str, optional
        The rows to run: names of rows, or parts of them.  All by default.
    beyond : bool
        Whether Table 3 has rows that go beyond the paper.
    compare : bool
        Whether Tables 1 to 3 have rows of other methods, and say what each row cost.
    tensorboard : bool
        Whether trainings write event files for TensorBoard, too.

    Attributes
    ----------
    folders : list of Path
        The run folder of each experiment.
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
        wanted: Optional[Sequence[str]] = None,
        beyond: bool = False,
        tensorboard: bool = False,
        compare: bool = False,
    ):
        self._root, self._table, self._overrides = root, table, overrides
        self._beyond, self._compare, self._tensorboard = beyond, compare, tensorboard
        self._titles: Dict[str, str] = {}
        self._several = len(configs) > 1 or len(seeds or ()) > 1
        self.folders: List[Path] = []
        self._experiments: List[_Experiment] = []
        for config in configs:
            name = load_experiment(config, overrides, seed).name
            place = folder or Path("runs") / name
            self.folders.append(place / name if folder and len(configs) > 1 else place)
            self._experiments.append(self._open(config, self.folders[-1], seed, seeds, wanted))
        if len(set(self.folders)) < len(self.folders):
            raise UserError(f"{self.folders[-1]}: would hold two experiments of one name: give each a name of its own")

    def _open(
        self,
        config: Path,
        place: Path,
        seed: Optional[int],
        seeds: Optional[Sequence[int]],
        wanted: Optional[Sequence[str]],
    ) -> _Experiment:
        experiment = load_experiment(config, self._overrides, seed)
        rows = rows_of(self._table, experiment, self._beyond)
        rows += compared_rows(self._table) if self._compare else []
        chosen = _chosen(rows, wanted)
        one = _Experiment(
            experiment.name,
            experiment.model.encoder,
            rows,
            departures(self._table, experiment, self._root),
            [],
        )
        for number in [seed] if seeds is None else seeds:
            folder = place if seeds is None else place / f"seed-{number}"
            label = f"{experiment.name}, seed {experiment.seed if number is None else number}: " * self._several
            where = (folder, label, self._tensorboard)
            wanted_plan, everything = (Plan(self._root, config, self._overrides, number, *where) for _ in range(2))
            for row in chosen:
                self._titles[wanted_plan.add(row).name] = label + row.text
            one.seeds.append(_Seed(wanted_plan, everything, [everything.add(row) for row in rows]))
        return one

    @property
    def plans(self) -> List[Plan]:
        """What is to be run, by experiment and seed."""
        return [seed.wanted for one in self._experiments for seed in one.seeds]

    def runs(self) -> Dict[str, List[Run]]:
        """Return the experiments' own runs, without those of ablations: by name, one for each seed."""
        return {one.name: [seed.everything.run for seed in one.seeds] for one in self._experiments}

    def results(self, command: str = "") -> Table:
        """Return all rows with their scores, as far as they are there; what was made otherwise counts as not run."""
        rows = []
        for one in self._experiments:
            known = [reuse_of(seed.everything) for seed in one.seeds]
            for index, row in enumerate(one.rows):
                scorings = [seed.scorings[index] for seed in one.seeds]
                done = [reuse[step.name].kind == DONE for step, reuse in zip(scorings, known)]
                results = [_result(step, is_done) for step, is_done in zip(scorings, done)]
                if self._compare:
                    for result, seed, step in zip(results, one.seeds, scorings):
                        result.cost = cost_of(seed.everything, step) if result.scores else None
                rows.append(
                    TableRow(
                        row=row.text,
                        experiment=one.name,
                        encoder=one.encoder,
                        departures_from_the_paper=one.departures,
                        published=None if row.published is None else Published.model_validate(row.published),
                        results=results,
                    )
                )
        return table_of(self._table, rows, command)

    def refused(self) -> List[str]:
        """Say what is in the way: stages that were made otherwise than they would be now."""
        return [reuse.why for plan in self.plans for reuse in reuse_of(plan).values() if reuse.kind == REFUSED]

    def missing(self) -> List[str]:
        """Say what the steps that are left need and is not there: data sets, files of weights."""
        lines: List[str] = []
        for plan in self.plans:
            reuse = reuse_of(plan)
            for step in plan.steps.values():
                if reuse[step.name].kind != DONE:
                    lines += _missing(step)
        return list(dict.fromkeys(lines))

    def start_over(self) -> None:
        """Move aside what there is of the steps."""
        for plan in self.plans:
            plan.move_aside()

    def run(self, workers: int, on_scored: Callable[[str, str], None]) -> None:
        """Run what is not done yet; ``on_scored`` is called with the name of each row and its mIoU, in words."""
        jobs = []
        for plan in self.plans:
            left = plan.jobs({name for name, reuse in reuse_of(plan).items() if reuse.kind == DONE})
            jobs += longest_chain_first(left) if workers > 1 else left
        steps = {name: step for plan in self.plans for name, step in plan.steps.items()}

        def on_done(job: Job) -> None:
            step = steps[job.name]
            if step.scores:
                forget_images()
                scores = scores_of(step)
                if scores is None:
                    raise FailureError(f"{step.scores}: {job.name} ended well, but left no scores of {step.checkpoint}")
                text = f"{scores['miou']:5.1f} mIoU{over_fewer([scores['iou']])}"
                on_scored(self._titles[step.name], text)

        run_jobs(jobs, workers, on_done)


def _chosen(rows: Sequence[Row], wanted: Optional[Sequence[str]]) -> List[Row]:
    """Return the rows with a wanted name, or with it in theirs where none is called just that."""
    if wanted is None:
        return list(rows)
    names = set()
    for text in map(current_text, wanted):
        if not text.strip():  # it is in every name
            raise UserError("--row: expected the name of a row, or a part of one, not an empty text")
        found = [row.text for row in rows if row.text == text] or [row.text for row in rows if text in row.text]
        if not found:
            known = "; ".join(row.text for row in rows)
            raise UserError(f"no row is called {text}: expected one of these, or a part of one: {known}")
        names.update(found)
    return [row for row in rows if row.text in names]


def _result(step: Step, done: bool) -> Result:
    """Return what a scoring left for its row."""
    scores = scores_of(step) if done else None
    known = None if scores is None else RowScores.model_validate(scores)
    return Result(seed=step.run.experiment.seed, run_folder=str(step.folder), scores=known)


def _missing(step: Step) -> List[str]:
    run, experiment = step.run, step.run.experiment
    if step.scores:
        needed = ["val"] + ["target"] * bool(experiment.evaluation.adabn_batches)
    else:
        needed = ["target"] if step.stage == "proxies" else list(domains_of(experiment, step.stage))
    lines = [_missing_images(run, which) for which in needed]
    from_imagenet = step.stage == "source" or (step.stage == "retrain" and experiment.retrain.init == "imagenet")
    if from_imagenet and not step.scores:
        lines.append(_missing_weights(run))
    return [line for line in lines if line]


def _missing_images(run: Run, which: str) -> str:
    if opened(run, which) is None:
        try:
            run.dataset(which, labelled=which != "target")
        except UserError as error:
            return f"data.{which}: {error}"
    return ""


def _missing_weights(run: Run) -> str:
    weights = run.experiment.model.weights
    if weights in ("none", "zoo") or Path(weights).is_file():
        return ""
    return f"model.weights: {weights}: no such file: see pretrained/README.md for where to get it"
