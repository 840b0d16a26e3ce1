"""What every training does besides learning: schedule, progress, logging, scores along the way, checkpoints, resume."""

import logging
import signal
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.config import Training
from gluon_madapt.data import every_batch
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.models.parameter_files import is_as_written, write_arrays
from gluon_madapt.progress import Progress
from gluon_madapt.provenance import with_this_code
from gluon_madapt.stages.beginnings import inputs_of
from gluon_madapt.stages.checkpoint import parameter_values
from gluon_madapt.stages.descriptions import FINISHED
from gluon_madapt.stages.records import write_json
from gluon_madapt.stages.run import CHECKPOINT, Run
from gluon_madapt.stages.team import Losses
from gluon_madapt.stages.trained import description_of
from gluon_madapt.stages.training_log import TrainingLog
from gluon_madapt.stages.training_record import Pending, TrainingRecord
from gluon_madapt.stages.training_state import TrainingState
from gluon_madapt.stopping import StopSignals

# What a checkpoint says that is the same in a training from its beginning to its end.
_IDENTITY = ("stage", "round", "seed", "encoder", "class_names", "made_from")

_log = logging.getLogger(__name__)


class Loop:
    """The iterations of one training: ``for iteration, batch in loop.over(batches)`` does the bookkeeping after each.

    It continues from the checkpoint in ``folder`` if there is one.  SIGINT, SIGTERM and SIGHUP save the state and end
    the process with status 130, 143 and 129; the same one again, 2 s later or more, ends it at once.

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
    patience : int
        Iterations in a row that may have no labelled pixel; 0 where labels teach nothing.
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
        patience: int = 0,
    ):
        self._stage = stage
        self._run = run
        self._team = run.team
        self._folder = folder
        self._networks = networks
        self._score = score
        self._bookkeeping = run.experiment.bookkeeping
        self._facts = facts
        self._versions = with_this_code(versions)
        self._last_score: Optional[Dict] = None
        self._patience, self._unlabelled = patience, 0
        self.iterations = settings.iterations
        self.start = self._saved = 0
        self._current, self._names = 0, ()
        self._replaced: Dict[str, int] = {}
        self._replaced_before = 0  # by other workers, in a run that was stopped
        self._record = TrainingRecord(stage, images, self._last_good)
        self._signals = StopSignals(lambda number: self._team.request_stop(), self._end_at_once)
        self._state = TrainingState(folder / CHECKPOINT, networks, trainers, self._team.leads)
        self._log_file = TrainingLog(folder, self._team.leads, run.tensorboard)
        self._made_from = inputs_of(folder) if self._team.leads else {}
        self._resume()
        self._team.join(trainers, self.start)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.start >= self.iterations

    def record(self, learning_rate: float, losses: Losses) -> None:
        """Note the losses of the current iteration, (1,) each; they are read one iteration later, without waiting.

        Raises
        ------
        FailureError
            If a loss or a gradient of the iteration before was not finite.
        """
        self._record.read()
        self._record.learning_rate = learning_rate
        self._record.put(Pending(self._current, self._names, self._team.total(losses), dict(self._team.finite)))

    def over(self, batches: Iterable[Sequence]) -> Iterator[Tuple[int, Sequence]]:
        """Yield the iterations that are left, each with what it is to learn from: a sequence of batches, or of such.

        When there is no next batch, for want of a file, say, the state is saved before the error is raised.
        """
        source = iter(batches)
        for iteration in self._iterations():
            began = time.perf_counter()
            try:
                batch = next(source)
            except UserError:
                if iteration > self._saved and self._team.workers == 1:  # others wait for this one's next batch
                    self._save(iteration)
                    _log.warning("%s: saved after iteration %d", self._stage, iteration)
                raise
            self._record.waited += time.perf_counter() - began
            self._current, self._names = iteration + 1, tuple(name for one in every_batch(batch) for name in one.names)
            self._count_replaced([name for one in every_batch(batch) for name in one.replaced])
            yield iteration, batch

    def _count_replaced(self, names: Sequence[str]) -> None:
        self._team.count_replaced(len(names))
        for name in names:
            self._replaced[name] = self._replaced.get(name, 0) + 1

    def _iterations(self) -> Iterator[int]:
        if self.finished:
            _log.info("%s: all %d iterations are done: nothing left to train", self._stage, self.iterations)
            self._finish()
            return
        hidden = not self._team.leads
        with self._signals, Progress(self._stage, self.iterations, self.start, hidden=hidden) as progress:
            for iteration in range(self.start, self.iterations):
                began = time.perf_counter()
                yield iteration
                if self._logs(iteration + 1):
                    self._record.read()  # waits for the network, and so belongs to the time that it took
                self._record.seconds += time.perf_counter() - began
                progress.one_more(self._record.facts(iteration + 1, self._last_score))
                with progress.pause():
                    self._after(iteration + 1)
            progress.show(self._record.facts(self.iterations, self._last_score))
            self._finish()

    def _after(self, done: int) -> None:
        every, last = self._bookkeeping, done == self.iterations
        self._count_unlabelled()
        stopping = self._team.stopping
        if self._logs(done):
            self._log_file.append(self._record.entry(done))
        if self._team.leads and self._score and (last or done % every.eval_every == 0):
            self._score_now(done)
        if last or done % every.checkpoint_every == 0 or stopping:
            self._save(done)
        if stopping and not last:
            self._team.wait_for_all()  # none may end, and be taken for one that failed, while another saves
            number = self._signals.number or signal.SIGTERM
            if self._team.leads:
                _log.warning("%s: stopped by signal %d; saved after iteration %d", self._stage, number, done)
            sys.exit(128 + number)

    def _count_unlabelled(self) -> None:
        """Stop a training that sees nothing to learn from, before that is saved as a model."""
        if not self._patience:
            return
        self._unlabelled = 0 if self._team.labelled else self._unlabelled + 1
        if self._unlabelled in (self._patience, self.iterations):
            raise FailureError(
                f"{self._stage}: no image of the last {self._unlabelled} iterations had a labelled pixel where it was "
                f"cut out, so nothing was learnt: a larger crop may help; {self._last_good()}"
            )

    def _score_now(self, done: int) -> None:
        try:
            self._last_score = self._score(self._networks["segmenter"])
        except Exception:  # a broken val image, say, which is no reason to lose what was learnt
            self._save(done)
            raise
        self._log_file.append({"iteration": done, "val": self._last_score})

    def _logs(self, done: int) -> bool:
        return done == self.iterations or done % self._bookkeeping.log_every == 0

    def _last_good(self) -> str:
        if not self._saved:
            return "no checkpoint has been saved yet"
        return f"the last good checkpoint is {self._state.path}, after iteration {self._saved}"

    def _save(self, done: int) -> None:
        self._record.read()  # a state that is not finite must not replace a good one
        self._saved = done
        if not self._team.leads:
            return
        meta = {
            **self._description(done),
            "made_from": self._made_from,
            "code": self._versions,
            "window": self._record.window,
            "unlabelled": self._unlabelled,
            **self._replacements(),
        }
        self._state.save(meta)

    def _description(self, done: int) -> Dict:
        return {**description_of(self._run, self._stage), "iteration": done, "iterations": self.iterations}

    def _replacements(self) -> Dict:
        """Return which broken samples were replaced and how often; of other workers, how many in all."""
        found: Dict = {"replaced": self._replaced}
        if self._team.workers > 1:
            found["replaced_by_other_workers"] = self._replaced_before + self._team.replaced_elsewhere
        return found

    def _resume(self) -> None:
        said = dict(self._description(0), made_from=self._made_from)
        meta = self._state.resume({key: said[key] for key in _IDENTITY} if self._team.leads else {})
        self.start = self._saved = 0 if meta is None else meta["iteration"]
        self._last_score = self._log_file.forget_after(self.start)
        if meta is None:
            return
        self._versions = with_this_code(meta.get("code", ()))
        self._unlabelled = meta.get("unlabelled", 0)
        self._record.go_on_from(self.start, meta.get("window", ()))
        if self._team.leads:
            self._replaced = meta.get("replaced", {})
            self._replaced_before = meta.get("replaced_by_other_workers", 0)
        _log.info("%s: continues after iteration %d", self._stage, self.start)

    def _finish(self) -> None:
        """Leave the finished network and its metrics, unless there is nothing that this process has trained."""
        if not self._team.leads:
            return
        parameters, metrics = self._folder / FINISHED, self._folder / "metrics.json"
        trained = self.start < self.iterations
        if trained or not is_as_written(parameters):
            said = {**self._description(self.iterations), "code": self._versions}
            write_arrays(parameters, parameter_values(self._networks["segmenter"]), said)
        if trained or not metrics.exists():
            facts = {
                "stage": self._stage,
                "iterations": self.iterations,
                "seconds": round(self._record.seconds, 1),
                "iterations_in_these_seconds": self.iterations - self.start,
                "seed": self._run.experiment.seed,
                "code": self._versions,
                "val": self._last_score,
                **self._replacements(),
            }
            write_json(metrics, dict(facts, **self._facts))

    def _end_at_once(self, number: int) -> None:
        self._team.abandon(128 + number)
