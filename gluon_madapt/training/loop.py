"""Runs the iterations of a training, and does what is not learning: progress, log, scores, checkpoints, resume."""

import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, NoReturn, Optional, Sequence, Tuple

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.config import Bookkeeping, Training
from gluon_madapt.data import every_batch
from gluon_madapt.errors import UserError
from gluon_madapt.run_layout import CHECKPOINT, EXCHANGE_RATES
from gluon_madapt.system.peak_memory import peak_memory_gib
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.provenance import with_this_code
from gluon_madapt.system.stopping import StopSignals
from gluon_madapt.training.course import Course, Watch
from gluon_madapt.training.distributed import Distributed, Losses
from gluon_madapt.training.exchange import Cost
from gluon_madapt.training.logger import Logger
from gluon_madapt.training.meters import Meters, Pending
from gluon_madapt.training.outcome import write_outcome
from gluon_madapt.training.resume import TrainingState
from gluon_madapt.training.samples import SampleCounts

# What a checkpoint says that is the same in a training from its beginning to its end.
_IDENTITY = ("stage", "round", "seed", "encoder", "class_names", "made_from")

Score = Callable[[HybridBlock], Dict[str, Any]]

_log = logging.getLogger(__name__)


class Loop:
    """The iterations of one training: ``for iteration, batch in loop.over(batches)`` does the bookkeeping after each.

    It continues from the checkpoint in ``folder`` if there is one.  SIGINT, SIGTERM and SIGHUP save the state and end
    the process with status 130, 143 and 129; the same one again, 2 s later or more, ends it at once.

    Parameters
    ----------
    stage : str
        Name of the stage.
    folder : Path
        The stage's folder.
    settings : Training
        The stage's settings.
    bookkeeping : Bookkeeping
        How often to log, score and save.
    networks : dict of str to HybridBlock
        What the checkpoint holds; "segmenter" is among them.
    trainers : dict of str to Trainer
        Their optimisers, under names of networks.
    distributed : Distributed
        The devices and processes that share the work.
    description : dict
        What a checkpoint says of the model, JSON values.
    made_from : dict
        What the stage is made from; a checkpoint that was made from anything else is refused.
    images : int
        Images that the network sees in an iteration, for the rate that is logged.
    facts : dict
        What else metrics.json is to say.
    score : callable, optional
        Scores the segmenter on the val split, for the curves alone; nothing is chosen by the scores.
    versions : sequence of str
        Versions of the code behind what the training starts from.
    patience : int
        Iterations in a row that may have no labelled pixel; 0 where labels teach nothing.
    tensorboard : bool
        Whether to write event files for TensorBoard, too.
    watch : callable, optional
        Returns what is wrong with the course of the training, as `Course` takes it: warnings, and in metrics.json.
    """

    def __init__(
        self,
        stage: str,
        *,
        folder: Path,
        settings: Training,
        bookkeeping: Bookkeeping,
        networks: Dict[str, HybridBlock],
        trainers: Dict[str, Trainer],
        distributed: Distributed,
        description: Dict[str, Any],
        made_from: Dict[str, str],
        images: int,
        facts: Dict[str, Any],
        score: Optional[Score] = None,
        versions: Sequence[str] = (),
        patience: int = 0,
        tensorboard: bool = False,
        watch: Optional[Watch] = None,
    ):
        self._stage, self._folder = stage, folder
        self._distributed, self._networks = distributed, networks
        self._bookkeeping, self._score = bookkeeping, score
        self._model, self._made_from, self._facts = description, made_from, facts
        self._versions = with_this_code(versions)
        self._last_score: Optional[Dict[str, Any]] = None
        self.iterations = settings.iterations
        self.start = self._saved = 0
        self._current = 0
        self._names: Tuple[str, ...] = ()
        self._samples = SampleCounts(stage, distributed, patience, self._last_good)
        self._course = Course(self.iterations, watch)
        self._meters = Meters(stage, images, self._last_good, self._course)
        self._signals = StopSignals(lambda number: distributed.request_stop(), self._end_at_once)
        self._state = TrainingState(folder / CHECKPOINT, networks, trainers, distributed.is_main)
        self._logger = Logger(folder, distributed.is_main, tensorboard)
        self._resume()
        distributed.broadcast(trainers, self.start)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.start >= self.iterations

    @property
    def is_logged(self) -> bool:
        """Whether the log gets an entry, from this process, after the current iteration."""
        return self._distributed.is_main and self._logs(self._current)

    def record(self, learning_rate: float, losses: Losses, measured: Optional[Losses] = None) -> None:
        """Note the losses of the current iteration, (1,) each; they are read one iteration later, without waiting.

        ``measured`` is of this process and iteration alone, which is one that `is_logged`.

        Raises
        ------
        FailureError
            If a loss or a gradient of the iteration before was not finite.
        """
        self._meters.read()
        self._meters.learning_rate = learning_rate
        total, finite = self._distributed.total(losses), dict(self._distributed.finite)
        self._meters.put(Pending(self._current, self._names, total, finite, measured or {}))

    def over(self, batches: Iterable[Sequence]) -> Iterator[Tuple[int, Sequence]]:
        """Yield the iterations that are left, each with its batches: a sequence of them, or a sequence of sequences.

        When a worker has no next batch, for want of a file, say, all workers save the state before the error is raised.
        """
        source = iter(batches)
        for iteration in self._iterations():
            self._distributed.begin_iteration(measure=self._logs(iteration + 1))
            began = time.perf_counter()
            error: Optional[UserError] = None
            try:
                batch = next(source)
            except UserError as caught:
                error = caught
            self._meters.waited += time.perf_counter() - began
            if self._distributed.any_fails(error is not None):
                self._stop_before(iteration, error)
            parts = list(every_batch(batch))
            self._current, self._names = iteration + 1, tuple(name for part in parts for name in part.names)
            self._samples.count_replaced([name for part in parts for name in part.replaced])
            yield iteration, batch

    def _stop_before(self, iteration: int, error: Optional[UserError]) -> NoReturn:
        """Save what was learnt so far, and raise this worker's error, or that another one has its own."""
        if iteration > self._saved:
            self._save(iteration)
            if self._distributed.is_main:
                _log.warning("%s: saved after iteration %d", self._stage, iteration)
        self._distributed.wait_for_all()  # as where a signal stops all
        raise error or UserError(f"{self._stage}: another worker has no next batch, and says why")

    def _iterations(self) -> Iterator[int]:
        if self.finished:
            _log.info("%s: all %d iterations are done: nothing left to train", self._stage, self.iterations)
            self._finish()
            self._distributed.wait_for_all()
            return
        hidden = not self._distributed.is_main
        with self._signals, Progress(self._stage, self.iterations, self.start, hidden, unit="it") as progress:
            for iteration in range(self.start, self.iterations):
                began = time.perf_counter()
                yield iteration
                if self._logs(iteration + 1):
                    self._meters.read()  # waits for the network, and so belongs to the time that it took
                seconds = time.perf_counter() - began
                self._meters.seconds += seconds
                self._meters.exchange = _shares(self._distributed.cost, seconds)
                progress.one_more(self._meters.facts(iteration + 1, self._last_score))
                self._after(iteration + 1)
            progress.show(self._meters.facts(self.iterations, self._last_score))
            self._finish()
            self._distributed.wait_for_all()  # while the first one writes: in MXNet's own end nobody is told of a loss

    def _after(self, done: int) -> None:
        every, last = self._bookkeeping, done == self.iterations
        self._samples.count_unlabelled(self.iterations)
        stopping = self._distributed.stopping
        if self._distributed.is_main and self._course.ends_part(done):
            self._meters.read()
            for line in self._course.news(done):
                _log.warning("%s: %s", self._stage, line)
        if self._logs(done):
            self._logger.append(self._meters.entry(done))
        if self._distributed.is_main and self._score and (last or done % every.eval_every == 0):
            self._score_now(self._score, done)
        if last or done % every.checkpoint_every == 0 or stopping:
            self._save(done)
        if stopping and not last:
            self._distributed.wait_for_all()  # none may end, and be taken for one that failed, while another saves
            number = self._signals.number or signal.SIGTERM
            if self._distributed.is_main:
                _log.warning("%s: stopped by signal %d; saved after iteration %d", self._stage, number, done)
            sys.exit(128 + number)

    def _score_now(self, score: Score, done: int) -> None:
        try:
            self._last_score = score(self._networks["segmenter"])
        except Exception:  # a broken val image, say, which is no reason to lose what was learnt
            self._save(done)
            raise
        self._logger.append({"iteration": done, "val": self._last_score})

    def _logs(self, done: int) -> bool:
        return done == self.iterations or done % self._bookkeeping.log_every == 0

    def _last_good(self) -> str:
        if not self._saved:
            return "no checkpoint has been saved yet"
        return f"the last good checkpoint is {self._state.path}, after iteration {self._saved}"

    def _save(self, done: int) -> None:
        self._meters.read()  # a state that is not finite must not replace a good one
        self._saved = done
        if self._distributed.is_main:
            meta = {
                **self._description(done),
                "made_from": self._made_from,
                "code": self._versions,
                "window": self._meters.window,
                "course": self._course.sums,
                "unlabelled": self._samples.unlabelled,
                **self._samples.replacements(),
            }
            self._state.save(meta)

    def _description(self, done: int) -> Dict[str, Any]:
        return {**self._model, "iteration": done, "iterations": self.iterations}

    def _resume(self) -> None:
        now = dict(self._description(0), made_from=self._made_from)
        meta = self._state.resume({key: now[key] for key in _IDENTITY} if self._distributed.is_main else {})
        self.start = self._saved = 0 if meta is None else meta["iteration"]
        self._last_score = self._logger.forget_after(self.start)
        if meta is None:
            return
        self._versions = with_this_code(meta.get("code", ()))
        self._samples.go_on_from(meta)
        self._meters.go_on_from(self.start, meta.get("window", ()))
        self._course.go_on_from(meta.get("course", ()))
        _log.info("%s: continues after iteration %d", self._stage, self.start)

    def _finish(self) -> None:
        if not self._distributed.is_main:
            return
        description = {**self._description(self.iterations), "code": self._versions}
        metrics = {
            "stage": self._stage,
            "iterations": self.iterations,
            "seconds": round(self._meters.seconds, 1),
            "iterations_in_these_seconds": self.iterations - self.start,
            "peak_memory_gib": round(peak_memory_gib(), 3),
            "seed": self._model["seed"],
            "code": self._versions,
            "val": self._last_score,
            "last_tenth": self._course.last(),
            "warnings": self._course.warnings,
            **self._samples.replacements(),
            **self._facts,
        }
        write_outcome(self._folder, self._networks["segmenter"], description, metrics, trained=not self.finished)

    def _end_at_once(self, number: int) -> None:
        self._distributed.abandon(128 + number)


def _shares(cost: Optional[Cost], seconds: float) -> Dict[str, float]:
    """Return what the log says of an iteration's sums over workers, as shares of its seconds and bytes."""
    if cost is None:
        return {}
    values = (cost.communicating / seconds, cost.waiting / seconds, cost.sent, cost.received)
    return dict(zip(EXCHANGE_RATES, values))
