"""A run folder: where a stage finds what came before it and leaves what it makes."""

import datetime
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import mxnet as mx
import yaml

from gluon_madapt.config import Data, Experiment, Input
from gluon_madapt.data import Dataset, Loader, open_dataset
from gluon_madapt.errors import UserError
from gluon_madapt.labels import ClassSet, class_set

CHECKPOINT = "checkpoint.npz"

# The sections of an experiment that decide what a stage computes; a stage continues only where they are unchanged.
_DEPENDS_ON = {
    "source": ("seed", "classes", "model", "source"),
    "adversarial": ("seed", "classes", "model", "adversarial"),
    "proxies": ("seed", "classes", "model", "proxies"),
    "retrain": ("seed", "classes", "model", "retrain"),
}
_TOOLS = {
    "source": "tools/train_source.py",
    "adversarial": "tools/train_adv.py",
    "proxies": "tools/make_proxy.py",
    "retrain": "tools/train_proxy.py",
}


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
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Optional[Path] = None,
        start_from: Optional[Path] = None,
        fresh: bool = False,
    ):
        self.experiment = experiment
        self.folder = Path(folder) if folder else Path("runs") / experiment.name
        self.start_from = start_from
        self.fresh = fresh
        self.context = _context(experiment.device)

    @property
    def classes(self) -> ClassSet:
        """The classes of the experiment."""
        return class_set(self.experiment.classes)

    def open(self, stage: str) -> Path:
        """Return the folder of a stage, made if need be, with the resolved config in it.

        Raises
        ------
        UserError
            If the stage was begun with other settings.
        """
        folder = self.folder / stage
        if folder.exists() and self.fresh:
            stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            folder.rename(folder.with_name(f"{stage}.{stamp}.old"))
        config = folder / "config.yaml"
        if config.exists():
            self._check_unchanged(stage, config)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(config, self.experiment.to_yaml())
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}): choose another --run-dir") from None
        return folder

    def checkpoint_of(self, stage: str) -> Path:
        """Return the checkpoint of a finished stage of this run, or the one given with --from.

        Raises
        ------
        UserError
            If there is none; the message names the command that makes it.
        """
        path = self.start_from or self.folder / stage / CHECKPOINT
        if not path.is_file():
            raise UserError(f"{path}: missing, the checkpoint of stage '{stage}': make it with {self.command(stage)}")
        return path

    def last_stage(self, stages: Sequence[str]) -> str:
        """Return the last of ``stages`` that has a checkpoint in this run folder."""
        done = [stage for stage in stages if (self.folder / stage / CHECKPOINT).is_file()]
        if not done:
            raise UserError(f"{self.folder}: holds no checkpoint of any stage: begin with {self.command(stages[0])}")
        return done[-1]

    def command(self, stage: str) -> str:
        """Return the command that runs a stage in this run folder."""
        return f"python {_TOOLS[stage]} --config FILE --run-dir {self.folder}"

    def dataset(self, which: str, labelled: bool) -> Dataset:
        """Open the source, target or val images of the experiment."""
        data: Optional[Data] = getattr(self.experiment.data, which)
        if data is None:
            raise UserError(f"data.{which} is not set: name the dataset, its root and its split")
        return open_dataset(data.dataset, Path(data.root), data.split, self.classes, labelled)

    def loader(self, which: str, stage: str, settings: Input, batch_size: int, labelled: bool) -> Loader:
        """Return the batches of the source or target images in a stage."""
        return self.loader_of(self.dataset(which, labelled), f"{stage}/{which}", settings, batch_size, labelled)

    def loader_of(self, dataset: Dataset, stream: str, settings: Input, batch_size: int, labelled: bool) -> Loader:
        """Return the batches of a dataset; ``stream`` names their randomness."""
        return Loader(
            dataset,
            settings,
            batch_size=batch_size,
            seed=self.experiment.seed,
            stream=stream,
            labelled=labelled,
            threads=self.experiment.data.threads,
        )

    def _check_unchanged(self, stage: str, config: Path) -> None:
        before, now = yaml.safe_load(config.read_text(encoding="utf-8")), self.experiment.model_dump(mode="json")
        changes: List[str] = []
        for section in _DEPENDS_ON[stage]:
            changes += _differences(section, before.get(section), now[section])
        if changes:
            raise UserError(
                f"{config}: stage '{stage}' was begun with other settings ({'; '.join(changes)}): "
                "give --fresh to move it aside and start over, or another --run-dir"
            )


def write_text(path: Path, text: str) -> None:
    """Write a text file beside ``path``, then rename it."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, values: Dict[str, Any]) -> None:
    """Write JSON for people to read as well, whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _context(device: str) -> mx.Context:
    if device == "cpu":
        return mx.cpu()
    gpus = mx.context.num_gpus()
    if device == "auto":
        return mx.gpu(0) if gpus else mx.cpu()
    index = int(device[4:-1])
    if index >= gpus:
        raise UserError(f"device = {device}: MXNet sees {gpus} GPUs here: expected cpu, auto or a GPU that exists")
    return mx.gpu(index)


def _differences(key: str, before: Any, now: Any) -> List[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [line for name in now for line in _differences(f"{key}.{name}", before.get(name), now[name])]
    return [] if before == now else [f"{key} was {before}, now {now}"]
