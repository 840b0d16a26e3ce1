"""Measures losses and rates of a training; reads losses an iteration late, so that nothing waits for them."""

import math
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from mxnet import nd

from gluon_madapt.errors import FailureError
from gluon_madapt.formats import images_per_second, over_fewer
from gluon_madapt.training.course import Course
from gluon_madapt.training.distributed import Losses

# Iterations whose mean loss is shown as progress; the log has means since its last entry.
_SHOWN = 20
_SHORT_NAMES = {
    "segmentation": "seg",
    "auxiliary_segmentation": "aux",
    "adversarial_D1": "adv1",
    "adversarial_D2": "adv2",
    "adversary_share": "share",
}
_ACCURACY = "accuracy_"


class Pending(NamedTuple):
    """What an iteration has left to be read, (1,) each.

    ``losses`` and accuracies of every iteration; whether each network's gradients are ``finite``; and what was
    ``measured`` on this iteration alone.
    """

    iteration: int
    names: Tuple[str, ...]
    losses: Losses
    finite: Dict[str, nd.NDArray]
    measured: Losses = {}


class Meters:
    """The losses and rates of the iterations that this process trains: for the log, and in short for its progress.

    Parameters
    ----------
    stage : str
        Name of the stage, for messages.
    images : int
        Images that the network sees in an iteration.
    last_good : callable
        Returns what there is to go on from, in words.
    course : Course, optional
        What all that is read is added to.

    Attributes
    ----------
    window : dict
        Of the iterations since the last log entry, how many there are, and the sum of each loss.
    learning_rate : float
        That of the current iteration.
    seconds, waited : float
        What the iterations took, and how much of that was spent waiting for data.
    exchange : dict
        What the log says of the sums over workers in the current iteration.
    """

    def __init__(self, stage: str, images: int, last_good: Callable[[], str], course: Optional[Course] = None):
        self._stage, self._images, self._last_good = stage, images, last_good
        self._course = course
        self._measured: Dict[str, float] = {}
        self._start = 0
        self._pending: Optional[Pending] = None
        self._recent: Deque[Dict[str, float]] = deque(maxlen=_SHOWN)
        self.window = _sums()
        self.learning_rate = self.seconds = self.waited = 0.0
        self.exchange: Dict[str, float] = {}

    def go_on_from(self, start: int, window: Union[Dict[str, Any], Sequence[Dict[str, float]]]) -> None:
        """Continue a training that was stopped after an iteration, with the window that it had.

        Checkpoints of earlier versions list the losses of each of its iterations.
        """
        self._start = start
        self.window = window if isinstance(window, dict) else _sums(window)

    def put(self, pending: Pending) -> None:
        """Keep losses until they are read."""
        self._pending = pending

    def read(self) -> None:
        """Wait for the losses that are still to be read.

        Raises
        ------
        FailureError
            If a loss or a gradient is not finite.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        losses = {key: float(value.asscalar()) for key, value in pending.losses.items()}
        wrong = [f"the {key} loss is {value}" for key, value in losses.items() if not math.isfinite(value)]
        wrong += [f"a gradient of {key} is not finite" for key, value in pending.finite.items() if not value.asscalar()]
        if wrong:
            raise FailureError(
                f"{self._stage}: {wrong[0]} in iteration {pending.iteration}, of {', '.join(pending.names)}: "
                f"a lower learning rate may help; {self._last_good()}"
            )
        measured = {key: float(value.asscalar()) for key, value in pending.measured.items()}
        _add(self.window, losses)
        self._recent.append(losses)
        self._measured.update(measured)
        if self._course:
            self._course.add(pending.iteration, {**losses, **measured})

    def entry(self, done: int) -> Dict[str, float]:
        """Return a log entry: mean losses over the window, which ends here, what was measured, and rates."""
        window, self.window = self.window, _sums()
        return {
            **{key: total / window["iterations"] for key, total in window["sums"].items()},
            **self._measured,
            "iteration": done,
            "learning_rate": self.learning_rate,
            "images_per_second": self._images_per_second(done),
            "waiting_for_data": self.waited / self.seconds,
            **self.exchange,
        }

    def facts(self, done: int, score: Optional[Dict]) -> List[str]:
        """Return mean losses over the last iterations, rates and a score in short, the most important first.

        Before the first losses are read, there are none.
        """
        if not self._recent:
            return []
        means = _means(self._recent)
        facts = [f"{_short(key)} {value:.3f}" for key, value in means.items() if not key.startswith(_ACCURACY)]
        facts += [f"{_short(key)} {value:.2f}" for key, value in means.items() if key.startswith(_ACCURACY)]
        facts += [f"{_short(key)} {value:.2f}" for key, value in self._measured.items()]
        facts += [f"lr {self.learning_rate:.2g}", images_per_second(self._images_per_second(done))]
        if score and score["miou"] is not None:
            facts.append(f"last mIoU {score['miou']:.1f}{over_fewer([score['iou']])}")
        return facts

    def _images_per_second(self, done: int) -> float:
        return (done - self._start) * self._images / self.seconds


def _short(key: str) -> str:
    """Return the name of a loss in a line of progress; of an accuracy "right D1 source"."""
    return _SHORT_NAMES.get(key) or key.replace(_ACCURACY, "right ").replace("_", " ")


def _means(losses: Sequence[Dict[str, float]]) -> Dict[str, float]:
    return {key: sum(values[key] for values in losses) / len(losses) for key in losses[0]}


def _sums(window: Sequence[Dict[str, float]] = ()) -> Dict[str, Any]:
    """Return how many iterations there are in a window, and the sum of each loss: no list, which could grow long."""
    sums: Dict[str, Any] = {"iterations": 0, "sums": {}}
    for losses in window:
        _add(sums, losses)
    return sums


def _add(sums: Dict[str, Any], losses: Dict[str, float]) -> None:
    sums["iterations"] += 1
    for key, value in losses.items():
        sums["sums"][key] = sums["sums"].get(key, 0) + value
