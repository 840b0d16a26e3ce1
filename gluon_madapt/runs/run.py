"""Defines a run: an experiment and the folder in which its stages find each other's results."""

import copy
import shlex
from functools import cached_property
from pathlib import Path
from typing import Dict, List, Optional, Sequence, TextIO, Tuple

import mxnet as mx

from gluon_madapt.config import Experiment, Input, Training
from gluon_madapt.data import Dataset, Loader, class_set_of
from gluon_madapt.errors import UserError
from gluon_madapt.files.locks import lock_once
from gluon_madapt.labels import ClassSet
from gluon_madapt.run_layout import CHECKPOINT, STAGE_TOOLS
from gluon_madapt.runs.checkpoints import finished_checkpoint, progress_of, start_at
from gluon_madapt.runs.datasets import dataset_of, make_loader
from gluon_madapt.runs.manifest import changes_since, write_manifest
from gluon_madapt.runs.ownership import is_stage, move_aside, refuse_other_stage
from gluon_madapt.system.devices import contexts_of
from gluon_madapt.system.workers import SchedulerWatch, is_one_of_several
from gluon_madapt.training.distributed import Distributed

# Beside these, a stage's own section decides what it computes.
_COMMON = ("seed", "classes", "model")


class Run:
    """One experiment and the folder that its stages share.

    Parameters
    ----------
    experiment : Experiment
        All settings.
    folder : Path, optional
        The run folder; runs/NAME by default.
    start_from : Path, optional
        A checkpoint to start from, in place of that of the stage before in the same folder.
    fresh : bool
        Whether a stage that was begun before is moved aside and starts over.
    config : Path, optional
        Where the experiment was read from, for messages.
    number : int
        The round of proxies, from 1.  Later rounds are beyond the paper: each has a folder in the run folder, and
        starts from the model that the round before has retrained.
    tensorboard : bool
        Whether trainings write event files for TensorBoard, too.

    Attributes
    ----------
    folder : Path
        Where the stages of this round lie.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Optional[Path] = None,
        start_from: Optional[Path] = None,
        fresh: bool = False,
        config: Optional[Path] = None,
        number: int = 1,
        tensorboard: bool = False,
    ):
        self.experiment = experiment
        self.number = number
        self._home = Path(folder) if folder else Path("runs") / experiment.name
        self.folder = self._home / f"round-{number}" if number > 1 else self._home
        self.start_from = start_from
        self.fresh = fresh
        self.config = config
        self.tensorboard = tensorboard
        self._locks: Dict[str, TextIO] = {}

    @cached_property
    def contexts(self) -> List[mx.Context]:
        """The devices, looked for on first use, so that a run can be read on a machine without them."""
        return contexts_of(self.experiment.devices)

    @property
    def context(self) -> mx.Context:
        """The first device."""
        return self.contexts[0]

    @cached_property
    def distributed(self) -> Distributed:
        """The devices of this process, and its place among the workers of a training."""
        store = None
        if is_one_of_several():
            watch = SchedulerWatch()  # before MXNet waits for the others
            store = mx.kv.create("dist_sync")
            watch.until_gone(store)
        return Distributed(self.contexts, store, self.experiment.repeatable_sums)

    def alone(self, instead: str) -> "Run":
        """Return the run on its first device, for work that is not divided over devices and workers.

        Raises
        ------
        UserError
            If this process is one of several workers; ``instead`` says what to do.
        """
        if is_one_of_several():
            raise UserError(f"DMLC_ROLE is set, and this is no training: {instead}")
        return self.on_first_device()

    def on_first_device(self) -> "Run":
        """Return the same run on its first device."""
        run = copy.copy(self)
        run.contexts = self.contexts[:1]
        run.__dict__.pop("distributed", None)
        return run

    def anywhere(self) -> "Run":
        """Return the same run on any device of this machine, the run's own if it is here, to evaluate its networks."""
        run = copy.copy(self)
        try:
            run.contexts = self.contexts[:1]
        except UserError:
            run.contexts = contexts_of("auto")
        model = self.experiment.model.model_copy(update={"sync_bn": False})  # which matters to trainings alone
        run.experiment = self.experiment.model_copy(update={"model": model})
        run.__dict__.pop("distributed", None)
        return run

    def scored_in(self, precision: str) -> "Run":
        """Return the same run with its networks scored in another precision."""
        run = copy.copy(self)
        evaluation = self.experiment.evaluation.model_copy(update={"precision": precision})
        run.experiment = self.experiment.model_copy(update={"evaluation": evaluation})
        return run

    @property
    def round_before(self) -> "Run":
        """The same run, one round of proxies earlier."""
        return Run(self.experiment, self._home, config=self.config, number=self.number - 1)

    @cached_property
    def classes(self) -> ClassSet:
        """The classes of the experiment."""
        return class_set_of(self.experiment)

    def open(self, stage: str, inputs: Dict[str, str]) -> Path:
        """Begin a stage, or continue it: lock its folder, write its manifest, and return the folder.

        Parameters
        ----------
        stage : str
            Its name.
        inputs : dict of str to str
            What the stage is made from: fingerprints of images, hashes of files.  The main worker alone needs them.

        Raises
        ------
        UserError
            If the stage was begun with other settings or from other inputs, if another process is at work on it, or if
            the folder cannot be written or holds what no stage has left.
        """
        folder = self.folder / stage
        inputs = dict(inputs, workers=str(self.distributed.world_size))
        if self.distributed.is_main:
            self.lock(stage)
            refuse_other_stage(folder)
            if self.fresh and is_stage(folder):
                move_aside(folder)
            self.refuse_changes(stage, inputs)
            write_manifest(folder, self.experiment, inputs)
        self.distributed.wait_for_all()
        return folder

    def start_of_round(self) -> Path:
        """Return the checkpoint that a round starts from: of the source model, or of the round before.

        Raises
        ------
        UserError
            As `checkpoint_of`.
        """
        if self.number == 1:
            return self.checkpoint_of("source")
        if self.start_from:
            return start_at(self.start_from, ("retrain", "source"))
        return self.round_before.checkpoint_of("retrain")

    def checkpoint_of(self, stage: str) -> Path:
        """Return the checkpoint of a finished stage of this run, or the one given with --from.

        Raises
        ------
        UserError
            If there is none, it is of another stage, or the stage is not finished; the message says what to do.
        """
        if self.start_from:
            return start_at(self.start_from, (stage,))
        return finished_checkpoint(self.folder, stage, self.command(stage))

    def progress(self, stage: str) -> Tuple[int, int]:
        """Return how many iterations of a training its checkpoint has behind it, and how many there are in all."""
        return progress_of(self.folder / stage / CHECKPOINT)

    def last_stage(self, stages: Sequence[str]) -> str:
        """Return the last of ``stages`` that has a checkpoint in this run folder."""
        done = [stage for stage in stages if (self.folder / stage / CHECKPOINT).is_file()]
        if not done:
            raise UserError(f"{self.folder}: holds no checkpoint of any stage: begin with {self.command(stages[0])}")
        return done[-1]

    def command(self, stage: str) -> str:
        """Return the command that runs a stage in this run folder."""
        return self.command_of(STAGE_TOOLS[stage])

    def command_of(self, tool: str, *more: str) -> str:
        """Return the command that calls a tool on this run, quoted for a shell where need be."""
        words = ["python", f"tools/{tool}", "--config", str(self.config or "FILE"), "--run-dir", str(self._home)]
        words += ["--round", str(self.number)] if self.number > 1 else []
        return shlex.join([*words, *more])

    def dataset(self, which: str, labelled: bool) -> Dataset:
        """Open the source, target or val images of the experiment."""
        return dataset_of(self.experiment, which, labelled)

    def loader(self, which: str, stage: str, settings: Input, training: Training, labelled: bool) -> Loader:
        """Return the batches of the source or target images in a training."""
        return self.loader_of(self.dataset(which, labelled), f"{stage}/{which}", settings, training, labelled)

    def loader_of(self, dataset: Dataset, stream: str, settings: Input, training: Training, labelled: bool) -> Loader:
        """Return this worker's batches of a dataset; ``stream`` names their randomness."""
        return make_loader(self.experiment, dataset, stream, settings, training, labelled, self.distributed)

    def changes(self, stage: str, inputs: Optional[Dict[str, str]] = None) -> List[str]:
        """Name the settings and inputs in which a stage that was begun differs from what `open` would begin now.

        ``inputs`` may be some of those that `open` takes; a stage that was not begun differs in nothing.
        """
        return changes_since(self.folder / stage, self.experiment, (*_COMMON, stage), inputs or {})

    def changes_of_inputs(self, stage: str, inputs: Dict[str, str]) -> List[str]:
        """Name the inputs in which a stage that was begun differs, whatever its settings."""
        return changes_since(self.folder / stage, self.experiment, (), inputs)

    def refuse_changes(self, stage: str, inputs: Optional[Dict[str, str]] = None) -> None:
        """Raise a `UserError` that names what `changes` finds."""
        changes = self.changes(stage, inputs)
        if changes:
            raise UserError(
                f"{self.folder / stage}: this stage was begun otherwise ({'; '.join(changes)}): put that back, "
                "give --fresh to move the stage aside and start over, or another --run-dir"
            )

    def lock(self, stage: str) -> None:
        """Keep other processes out of a stage's folder until this one ends, however it does.

        Raises
        ------
        UserError
            If another process is at work on it, or the run folder cannot be written.
        """
        cure = "wait for it, or stop it, or choose another --run-dir"
        busy = f"{self.folder / stage}: another process is at work on it: {cure}"
        self._locks[stage] = lock_once(self.folder / f".{stage}.lock", "--run-dir", busy)
