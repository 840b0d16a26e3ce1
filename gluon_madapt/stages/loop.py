"""What every training does besides learning: schedule, progress, logging, scores along the way, checkpoints, resume."""

import json
import logging
import math
import signal
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar

from mxnet.gluon import HybridBlock, Trainer
from tqdm import tqdm

from gluon_madapt.atomic import write_atomically
from gluon_madapt.config import Training
from gluon_madapt.errors import FailureError
from gluon_madapt.provenance import with_this_code
from gluon_madapt.stages.checkpoint import (
    Checkpoint,
    load_network,
    load_trainer,
    network_arrays,
    read_checkpoint,
    trainer_arrays,
    write_checkpoint,
)
from gluon_madapt.stages.records import read_log, write_json, write_text
from gluon_madapt.stages.run import CHECKPOINT, Run
from gluon_madapt.stages.team import Losses

_log = logging.getLogger(__name__)

Item = TypeVar("Item")


def poly_learning_rate(base: float, power: float, iteration: int, iterations: int) -> float:
    """Return ``base`` (1 - iteration / iterations) ** power (P §3.2, 'poly')."""
    return base * (1 - iteration / iterations) ** power


def segmenter_trainer(net: HybridBlock, settings: Training) -> Trainer:
    """Return SGD with momentum over the parameters of F and C (P §3.2)."""
    optimizer = {
        "learning_rate": settings.learning_rate,
        "momentum": settings.momentum,
        "wd": settings.weight_decay,
    }
    return Trainer(net.collect_params(), "sgd", optimizer, kvstore=None)


class Loop:
    """The iterations of one training: ``for iteration, batch in loop.over(batches)`` does the bookkeeping after each.

    It continues from the checkpoint in ``folder`` if there is one.  SIGINT and SIGTERM save the state and end the
    process with status 130 and 143.

    Parameters
    ----------
    stage : str
        Name of the stage.
    run : Run
        The run it belongs to.
    folder : Path
        The stage's folder.
    settings : Training
        The stage's settings.
    networks : dict of str to HybridBlock
        What the checkpoint holds; "segmenter" is among them.
    trainers : dict of str to Trainer
        Their optimisers, under names of networks.
    images : int
        Images that the network sees in an iteration, for the rate that is logged.
    facts : dict
        What else metrics.json is to say.
    score : callable, optional
        Scores the segmenter on the val split, for the curves alone; nothing is chosen by them.
    versions : sequence of str
        Versions of the code behind what the training starts from.
    """

    def __init__(
        self,
        stage: str,
        run: Run,
        folder: Path,
        settings: Training,
        networks: Dict[str, HybridBlock],
        trainers: Dict[str, Trainer],
        images: int,
        facts: Dict,
        score: Optional[Callable[[HybridBlock], Dict]] = None,
        versions: Sequence[str] = (),
    ):
        self._stage = stage
        self._run = run
        self._team = run.team
        self._folder = folder
        self._networks = networks
        self._trainers = trainers
        self._score = score
        self._bookkeeping = run.experiment.bookkeeping
        self._images = images
        self._facts = facts
        self._versions = with_this_code(versions)
        self._last_score: Optional[Dict] = None
        self.iterations = settings.iterations
        self.start = 0
        self._learning_rate = settings.learning_rate
        self._pending: Losses = {}
        self._window: List[Dict[str, float]] = []
        self._signal: Optional[int] = None
        self._seconds = self._waited = 0.0
        if self._checkpoint_path.exists():
            self._resume()
        self._team.join(trainers, self.start)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.start >= self.iterations

    def record(self, learning_rate: float, losses: Losses) -> None:
        """Note the losses of the current iteration, (1,) each; they are read one iteration later, without waiting."""
        self._read_pending()
        self._learning_rate = learning_rate
        self._pending = self._team.total(losses)

    def over(self, batches: Iterable[Item]) -> Iterator[Tuple[int, Item]]:
        """Yield the iterations that are left, each with what it is to learn from."""
        source = iter(batches)
        for iteration in self._iterations():
            began = time.perf_counter()
            batch = next(source)
            self._waited += time.perf_counter() - began
            yield iteration, batch

    def _iterations(self) -> Iterator[int]:
        if self.finished:
            _log.info("%s: all %d iterations are done: nothing left to train", self._stage, self.iterations)
            self._finish()
            return
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        hidden = None if self._team.leads else True  # None: where there is no terminal
        bar = tqdm(total=self.iterations, initial=self.start, desc=self._stage, unit="it", disable=hidden)
        try:
            for iteration in range(self.start, self.iterations):
                began = time.time()
                yield iteration
                self._seconds += time.time() - began
                self._after(iteration + 1, bar)
            self._finish()
        finally:
            bar.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    @property
    def _checkpoint_path(self) -> Path:
        return self._folder / CHECKPOINT

    def _after(self, done: int, bar: tqdm) -> None:
        bar.update()
        every, last = self._bookkeeping, done == self.iterations
        stopping = self._team.stopping
        if last or done % every.log_every == 0:
            self._log(done, bar)
        if self._team.leads:
            if self._score and (last or done % every.eval_every == 0):
                self._last_score = self._score(self._networks["segmenter"])
                self._append({"iteration": done, "val": self._last_score})
            if last or done % every.checkpoint_every == 0 or stopping:
                self._save(done)
        if stopping and not last:
            self._team.wait_for_all()  # none may end, and be taken for one that failed, while another saves
            number = self._signal or signal.SIGTERM
            _log.warning("%s: stopped by signal %d; saved after iteration %d", self._stage, number, done)
            sys.exit(128 + number)

    def _log(self, done: int, bar: tqdm) -> None:
        self._read_pending()
        losses = {key: sum(one[key] for one in self._window) / len(self._window) for key in self._window[0]}
        self._window = []
        images_per_second = (done - self.start) * self._images / self._seconds
        rates = {"images_per_second": images_per_second, "waiting_for_data": self._waited / self._seconds}
        self._append(dict(losses, iteration=done, learning_rate=self._learning_rate, **rates))
        shown = {key: f"{value:.3f}" for key, value in losses.items()}
        bar.set_postfix(dict(shown, lr=f"{self._learning_rate:.2g}", img_s=f"{images_per_second:.1f}"))
        if not bar.disable:  # the bar says it all
            return
        left = (self.iterations - done) * self._seconds / (done - self.start)
        _log.info(
            "%s %d/%d  %s  rate %.2g  %.1f images/s  %.0f s left",
            self._stage,
            done,
            self.iterations,
            "  ".join(f"{key} {value}" for key, value in shown.items()),
            self._learning_rate,
            images_per_second,
            left,
        )

    def _read_pending(self) -> None:
        if not self._pending:
            return
        losses = {key: float(value.asscalar()) for key, value in self._pending.items()}
        self._pending = {}
        for key, value in losses.items():
            if not math.isfinite(value):
                raise FailureError(f"{self._stage}: the {key} loss is {value}: a lower learning rate may help")
        self._window.append(losses)

    def _append(self, entry: Dict) -> None:
        if not self._team.leads:
            return
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _save(self, done: int) -> None:
        self._read_pending()  # a state whose loss is not finite must not replace a good one
        meta = {
            "stage": self._stage,
            "iteration": done,
            "iterations": self.iterations,
            "encoder": self._run.experiment.model.encoder,
            "classes": self._run.experiment.classes,
            "seed": self._run.experiment.seed,
            "code": self._versions,
        }
        arrays = {}
        for name, network in self._networks.items():
            arrays.update(network_arrays(name, network))
        for name, trainer in self._trainers.items():
            arrays.update(trainer_arrays(name, trainer, self._keys(name)))
        write_checkpoint(self._checkpoint_path, Checkpoint(meta, arrays))

    def _resume(self) -> None:
        checkpoint = read_checkpoint(self._checkpoint_path)
        for name, network in self._networks.items():
            load_network(checkpoint, name, network, self._checkpoint_path)
        self.start = checkpoint.meta["iteration"]
        self._versions = with_this_code(checkpoint.meta.get("code", ()))
        self._forget_after(self.start)
        for name, trainer in self._trainers.items():
            load_trainer(checkpoint, name, trainer, self._keys(name))
            # Adam's bias correction counts its updates.
            trainer._optimizer.begin_num_update = trainer._optimizer.num_update = self.start
        _log.info("%s: continues after iteration %d", self._stage, self.start)

    def _forget_after(self, iteration: int) -> None:
        """Drop from the log what comes after the checkpoint, and will be trained again."""
        log = self._folder / "log.jsonl"
        if self._team.leads and log.exists():
            entries = [one for one in read_log(log) if "iteration" in one]
            write_text(log, "".join(json.dumps(one) + "\n" for one in entries if one["iteration"] <= iteration))
            scores = [one["val"] for one in entries if "val" in one and one["iteration"] <= iteration]
            self._last_score = scores[-1] if scores else None

    def _keys(self, network: str) -> Dict[str, str]:
        return {param.name: key for key, param in self._networks[network]._collect_params_with_prefix().items()}

    def _finish(self) -> None:
        """Leave the finished network and its metrics, unless a process before this one has."""
        if not self._team.leads:
            return
        parameters, metrics = self._folder / "segmenter.params", self._folder / "metrics.json"
        if not parameters.exists():
            with write_atomically(parameters) as file:
                self._networks["segmenter"].save_parameters(file.name)
        if not metrics.exists():
            facts = {
                "stage": self._stage,
                "iterations": self.iterations,
                "seconds": round(self._seconds, 1),
                "iterations_in_these_seconds": self.iterations - self.start,
                "seed": self._run.experiment.seed,
                "code": self._versions,
                "val": self._last_score,
            }
            write_json(metrics, dict(facts, **self._facts))

    def _on_signal(self, number: int, frame) -> None:
        self._signal = number
        self._team.request_stop()
