"""Who trains together: the devices of a process, and the processes, or workers, of one or several machines.

An iteration's images are worked on in parts, each on one device.  Every part's losses are weighted so that the sum of
all gradients is that of the whole, in whatever way it is divided: a mean over labelled pixels gives a part the share of
the labelled pixels that it has, a mean over images that of its images.  MXNet's key-value store sums what devices and
workers have found.
"""

import itertools
import logging
import os
import sys
from typing import Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock, Parameter, Trainer

from gluon_madapt.config import Training
from gluon_madapt.data import Batch
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE

Losses = Dict[str, nd.NDArray]

# What workers tell each other in an iteration, beside gradients: labelled pixels, whether to stop, replaced samples;
# their losses, with room for more than any stage has.
_COUNTS, _LOSSES = "counts", "losses"
_LENGTHS = {_COUNTS: 3, _LOSSES: 8}


class Part(NamedTuple):
    """What one device sees at a time.

    ``images`` (N, 3, H, W) float32; ``labels`` (N, H, W) float32 train ids, or None; ``share`` is that of the
    iteration's images, ``weight`` that of its labelled pixels, a number or (1,) float32.
    """

    images: nd.NDArray
    labels: Optional[nd.NDArray] = None
    share: float = 1.0
    weight: Union[float, nd.NDArray] = 1.0


class Distributed:
    """The devices of this process, and the other workers where there are any.

    Parameters
    ----------
    contexts : sequence of mx.Context
        The devices of this process.
    store : KVStore, optional
        A distributed store, of a process that is one of several workers.
    """

    def __init__(self, contexts: Sequence[mx.Context] = (), store=None):
        self.contexts = list(contexts) or [mx.cpu()]
        self._dist_store = store
        self._store = store or (mx.kv.create(_kind(self.contexts)) if len(self.contexts) > 1 else None)
        self.rank, self.world_size = (store.rank, store.num_workers) if store else (0, 1)
        # By trainer, whether the gradients of its last step were finite, (1,): not waited for.
        self.finite: Dict[str, nd.NDArray] = {}
        self._summed: List[Parameter] = []
        self._stop = False
        self._replaced = 0
        self._labelled = 0
        self._totals: Optional[nd.NDArray] = None
        if not self.is_main:  # the others say what the first one says, but for warnings
            logging.getLogger("gluon_madapt").setLevel(logging.WARNING)
        if store:
            self._agree_on({key: np.zeros(length, np.float32) for key, length in _LENGTHS.items()})

    @property
    def is_main(self) -> bool:
        """Whether this process logs and saves: the first, or only, worker."""
        return self.rank == 0

    def images_per_part(self, settings: Training) -> int:
        """Return how many images of a batch each device sees.

        Raises
        ------
        UserError
            If the devices cannot share a batch evenly.
        """
        images, rest = divmod(settings.batch_size, len(self.contexts))
        if rest:
            raise UserError(
                f"devices: {len(self.contexts)} cannot share a batch of {settings.batch_size}: "
                f"set batch_size to a multiple of {len(self.contexts)}"
            )
        return images

    def divide(self, batches: Sequence[Batch]) -> List[Part]:
        """Bring this worker's batches of an iteration to its devices; labelled ones are weighed over all workers."""
        pieces = [piece for batch in batches for piece in self._pieces(batch)]
        share = 1 / (len(pieces) * self.world_size)
        if pieces[0].labels is None:
            return [Part(nd.array(one.images, ctx=where), share=share) for one, where in zip(pieces, self._turns())]
        counts = [int((one.labels != IGNORE).sum()) for one in pieces]
        total = self._total_labelled(sum(counts))
        parts = []
        for piece, count, context in zip(pieces, counts, self._turns()):
            labels = nd.array(piece.labels, ctx=context, dtype="float32")
            weight = count / total
            if isinstance(weight, nd.NDArray):
                weight = weight.as_in_context(context)
            parts.append(Part(nd.array(piece.images, ctx=context), labels, share, weight))
        return parts

    def broadcast(self, trainers: Dict[str, Trainer], start: int) -> None:
        """Begin to train with the other workers, from the first one's parameters.

        Raises
        ------
        UserError
            If the workers do not start after the same iteration.
        """
        starts = self._summed_over_workers(_COUNTS, [float(start), 0.0, 0.0])
        if float(starts[0].asscalar()) != start * self.world_size:
            raise UserError(
                f"worker {self.rank} would go on after iteration {start}, another one would not: "
                "put the run folder where all machines see the same files, and start all workers anew"
            )
        if not self._store:
            return
        nd.waitall()  # see `gluon_madapt.training.checkpoint.parameter_values`
        for name, trainer in trainers.items():
            learning = {_key(name, index): param for index, param in _learning(trainer)}
            agreed = self._agree_on({key: param.list_data()[0].asnumpy() for key, param in learning.items()})
            for key, param in learning.items():
                param.set_data(agreed[key])

    def step(self, name: str, trainer: Trainer) -> None:
        """Update the parameters of a trainer that has joined, by the gradients of all devices and workers."""
        if self._store:
            for index, param in _learning(trainer):
                gradients = param.list_grad()
                self._store.pushpull(_key(name, index), gradients, out=gradients, priority=-index)
        self.finite[name] = _all_finite([param.list_grad()[0] for _, param in _learning(trainer)])
        trainer.update(1)  # every loss is a mean already

    def add_up_gradients(self, *networks: HybridBlock) -> None:
        """Have the backward passes of an iteration add to the gradients of networks, from `clear_gradients` on."""
        for network in networks:
            for param in network.collect_params().values():
                if param.grad_req != "null":
                    param.grad_req = "add"
                    self._summed.append(param)

    def clear_gradients(self) -> None:
        """Set the gradients that are added up to zero."""
        for param in self._summed:
            param.zero_grad()

    def total(self, losses: Losses) -> Losses:
        """Return the losses of all workers, of which ``losses`` are this one's; nothing is waited for."""
        if not self._dist_store:
            return losses
        values = [value.as_in_context(mx.cpu()) for value in losses.values()]
        unused = nd.zeros((_LENGTHS[_LOSSES] - len(values),))
        summed = self._summed_over_workers(_LOSSES, nd.concat(*values, unused, dim=0))
        return {name: summed[place : place + 1] for place, name in enumerate(losses)}

    def request_stop(self) -> None:
        """Ask all workers to stop after the iteration that each of them is, or will soon be, at."""
        self._stop = True

    @property
    def stopping(self) -> bool:
        """Whether all workers stop after the current iteration."""
        return self._stop if self._totals is None else bool(self._totals[1].asscalar())

    @property
    def labelled(self) -> int:
        """How many labelled pixels the current iteration has, over all workers."""
        return self._labelled if self._totals is None else int(self._totals[0].asscalar())

    def count_replaced(self, samples: int) -> None:
        """Note that others took the place of broken samples of this worker."""
        self._replaced += samples

    @property
    def replaced_elsewhere(self) -> int:
        """How many samples of the other workers were replaced, up to the current iteration."""
        return 0 if self._totals is None else int(self._totals[2].asscalar()) - self._replaced

    def wait_for_all(self) -> None:
        """Wait until all workers have come here."""
        if self._dist_store:
            self._dist_store._barrier()

    def abandon(self, status: int) -> NoReturn:
        """End this process without the others."""
        if self._dist_store:
            os._exit(status)  # MXNet's store would wait for them
        sys.exit(status)

    def _agree_on(self, values: Dict[str, np.ndarray]) -> Dict[str, nd.NDArray]:
        """Open keys of the store, and return the values that the first worker opened them with."""
        for key, value in values.items():
            self._store.init(key, nd.array(value))
        agreed = {key: nd.empty(value.shape) for key, value in values.items()}
        # MXNet's init returns before its value has reached the server, and another worker may ask for it first; what
        # the first worker itself has pulled has arrived.
        for turn in (self.is_main, not self.is_main):
            if turn:
                for key, value in agreed.items():
                    self._store.pull(key, value)
                nd.waitall()
            self.wait_for_all()
        return agreed

    def _pieces(self, batch: Batch) -> List[Batch]:
        devices = len(self.contexts)
        images = np.split(batch.images, devices)
        labels = [None] * devices if batch.labels is None else np.split(batch.labels, devices)
        return [Batch(*piece, batch.names) for piece in zip(images, labels)]

    def _turns(self) -> Iterator[mx.Context]:
        return itertools.cycle(self.contexts)

    def _total_labelled(self, count: int) -> Union[int, nd.NDArray]:
        self._labelled = count
        if not self._dist_store:
            return max(count, 1)
        counts = [float(count), float(self._stop), float(self._replaced)]
        self._totals = self._summed_over_workers(_COUNTS, counts)
        return nd.maximum(self._totals[0:1], 1)

    def _summed_over_workers(self, key: str, values) -> nd.NDArray:
        summed = values if isinstance(values, nd.NDArray) else nd.array(values)
        if self._dist_store:
            self._dist_store.pushpull(key, summed, out=summed)
        return summed


def sum_of_losses(losses: Sequence[Losses]) -> Losses:
    """Add the losses of parts, which may be on several devices; the sums are on the first one."""
    context = next(iter(losses[0].values())).context
    return {name: sum((one[name].as_in_context(context) for one in losses[1:]), losses[0][name]) for name in losses[0]}


def _learning(trainer: Trainer) -> List[Tuple[int, Parameter]]:
    return [(index, param) for index, param in enumerate(trainer._params) if param.grad_req != "null"]


def _all_finite(arrays: Sequence[nd.NDArray]) -> nd.NDArray:
    """Return whether all values of arrays are finite, (1,): 1 or 0."""
    flag = nd.ones((1,), ctx=arrays[0].context)
    for array in arrays:
        # Not the operator for several at once: it takes the time of the largest for each, and 200 are its limit, past
        # which it writes where it should not.
        nd.all_finite(array, init_output=False, out=flag)
    return flag


def _key(name: str, index: int) -> str:
    return f"{name}/{index}"


def _kind(contexts: Sequence[mx.Context]) -> str:
    """Return the store that sums on the devices, if these are GPUs, or on the CPU."""
    return "device" if contexts[0].device_type == "gpu" else "local"
