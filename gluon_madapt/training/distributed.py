"""Divides an iteration over the devices of a process and over several workers, and sums their gradients.

A worker is a process, on this or another machine.  Each device computes a part of the iteration's images.  Each part's
losses are weighted so that all gradients add up to those of the undivided iteration: where a loss is a mean over
labelled pixels, a part's weight is its share of the labelled pixels; where it is a mean over images, its share of the
images.
"""

import logging
import os
import sys
from itertools import cycle
from typing import Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock, Parameter, Trainer
from mxnet.kvstore import KVStore

from gluon_madapt.config import Training
from gluon_madapt.data import Batch
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE
from gluon_madapt.training.exchange import Cost, Exchange

Losses = Dict[str, nd.NDArray]

# What is summed over workers in an iteration, beside gradients: labelled pixels, requests to stop and replaced samples;
# the losses, with room for more than any stage has; and, before it, how many workers have no batch for it.
_COUNTS, _LOSSES, _FAILURES = "counts", "losses", "failures"
_LENGTHS = {_COUNTS: 3, _LOSSES: 16, _FAILURES: 1}


class Part(NamedTuple):
    """The images that one device computes at a time.

    ``images`` (N, 3, H, W) float32; ``labels`` (N, H, W) float32 train ids, or None; ``share`` is the part's share of
    the iteration's images, ``weight`` its share of the labelled pixels, a number or (1,) float32.
    """

    images: nd.NDArray
    labels: Optional[nd.NDArray] = None
    share: float = 1.0
    weight: Union[float, nd.NDArray] = 1.0


class Distributed:
    """The devices of this process, and its place among the workers.

    Parameters
    ----------
    contexts : sequence of mx.Context
        The devices of this process.
    store : KVStore, optional
        A distributed store, where this process is one of several workers.
    repeatable : bool
        Whether sums over three workers or more are to be the same, bit for bit, each time, as in `Exchange`.

    Attributes
    ----------
    rank : int
        The number of this worker, from 0.
    world_size : int
        How many workers there are.
    is_one_of_several : bool
        Whether this process is a worker of a distributed training.
    finite : dict of str to mx.nd.NDArray
        By trainer, whether the gradients of its last step were finite, (1,): 1 or 0, not waited for.
    """

    def __init__(self, contexts: Sequence[mx.Context] = (), store: Optional[KVStore] = None, repeatable: bool = True):
        self.contexts = list(contexts) or [mx.cpu()]
        if store is None and len(self.contexts) > 1:
            store = mx.kv.create(_local_store(self.contexts))
        self._exchange = Exchange(store, repeatable) if store else None
        self.rank: int = self._exchange.rank if self._exchange else 0
        self.world_size: int = self._exchange.workers if self._exchange else 1
        self.is_one_of_several = bool(self._exchange and self._exchange.is_distributed)
        self.finite: Dict[str, nd.NDArray] = {}
        self._summed: List[Parameter] = []
        self._stop = False
        self._replaced = 0
        self._labelled = 0
        self._totals: Optional[nd.NDArray] = None
        if not self.is_main:  # the main worker logs for all; warnings are each worker's own
            logging.getLogger("gluon_madapt").setLevel(logging.WARNING)
        if self._exchange and self.is_one_of_several:
            self._exchange.broadcast({key: np.zeros(length, np.float32) for key, length in _LENGTHS.items()})

    @property
    def is_main(self) -> bool:
        """Whether this process logs and saves: the worker of rank 0, or the only one."""
        return self.rank == 0

    def images_per_part(self, settings: Training) -> int:
        """Return how many images of a batch each device computes.

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
        """Copy this worker's batches of an iteration to its devices; weights count the labels of all workers."""
        devices = len(self.contexts)
        images = [piece for batch in batches for piece in np.split(batch.images, devices)]
        labels = [piece for batch in batches if batch.labels is not None for piece in np.split(batch.labels, devices)]
        share = 1 / (len(images) * self.world_size)
        parts = [
            Part(nd.array(piece, ctx=context), share=share) for piece, context in zip(images, cycle(self.contexts))
        ]
        if not labels:
            return parts
        counts = [int((piece != IGNORE).sum()) for piece in labels]
        total = self._total_labelled(sum(counts))
        return [
            part._replace(
                labels=nd.array(piece, ctx=part.images.context, dtype="float32"),
                weight=_on(part.images.context, count / total),
            )
            for part, piece, count in zip(parts, labels, counts)
        ]

    def broadcast(self, trainers: Dict[str, Trainer], start: int) -> None:
        """Give all devices and workers the main worker's parameters, before the first iteration.

        Raises
        ------
        UserError
            If the workers do not start after the same iteration.
        """
        starts = self._all_reduce(_COUNTS, [float(start), 0.0, 0.0])
        if float(starts[0].asscalar()) != start * self.world_size:
            raise UserError(
                f"worker {self.rank} would go on after iteration {start}, another worker would not: "
                "put the run folder where all machines see the same files, and start all workers anew"
            )
        if not self._exchange:
            return
        nd.waitall()  # see `gluon_madapt.training.checkpoint.parameter_values`
        for name, trainer in trainers.items():
            params = {_key(name, index): param for index, param in _trainable(trainer)}
            values = {key: param.list_data()[0].asnumpy() for key, param in params.items()}
            for key, value in self._exchange.broadcast(values).items():
                params[key].set_data(value)

    def step(self, name: str, trainer: Trainer) -> None:
        """Update the parameters of a trainer, after `broadcast`, by the gradients of all devices and workers."""
        if self._exchange:
            self._exchange.sum({_key(name, index): param.list_grad() for index, param in _trainable(trainer)})
        self.finite[name] = _all_finite([param.list_grad()[0] for _, param in _trainable(trainer)])
        trainer.update(1)  # every loss is a mean already

    def add_up_gradients(self, *networks: HybridBlock) -> None:
        """Let the backward passes of an iteration, from `clear_gradients` on, add to the gradients of networks."""
        for network in networks:
            for param in network.collect_params().values():
                if param.grad_req != "null":
                    param.grad_req = "add"
                    self._summed.append(param)

    def begin_iteration(self, measure: bool) -> None:
        """Begin an iteration, and to ``measure`` what its sums over workers take; all workers do so in the same one."""
        if self._exchange:
            self._exchange.begin(measure)

    @property
    def cost(self) -> Optional[Cost]:
        """What the sums of the current iteration over workers have taken so far; None where there is one worker."""
        return self._exchange.cost if self._exchange and self.is_one_of_several else None

    def clear_gradients(self) -> None:
        """Set to zero the gradients that `add_up_gradients` lets grow."""
        for param in self._summed:
            param.zero_grad()

    def total(self, losses: Losses) -> Losses:
        """Return the sums of the losses over all workers; ``losses`` are this worker's.  Nothing is waited for."""
        if not self.is_one_of_several:
            return losses
        values = [value.as_in_context(mx.cpu()) for value in losses.values()]
        unused = nd.zeros((_LENGTHS[_LOSSES] - len(values),))
        summed = self._all_reduce(_LOSSES, nd.concat(*values, unused, dim=0))
        return {name: summed[place : place + 1] for place, name in enumerate(losses)}

    def request_stop(self) -> None:
        """Ask all workers to stop after the same iteration, the current or the next one."""
        self._stop = True

    @property
    def stopping(self) -> bool:
        """Whether all workers stop after the current iteration."""
        return self._stop if self._totals is None else bool(self._totals[1].asscalar())

    @property
    def labelled(self) -> int:
        """How many labelled pixels the current iteration has, over all workers."""
        return self._labelled if self._totals is None else int(self._totals[0].asscalar())

    def any_fails(self, this_one: bool) -> bool:
        """Tell whether any worker has said that it cannot do the next iteration; all ask before each."""
        if not self.is_one_of_several:
            return this_one
        return bool(self._all_reduce(_FAILURES, [float(this_one)]).asscalar())

    def count_replaced(self, samples: int) -> None:
        """Count broken samples of this worker that were replaced."""
        self._replaced += samples

    @property
    def replaced_elsewhere(self) -> int:
        """How many samples of the other workers were replaced, up to the current iteration."""
        return 0 if self._totals is None else int(self._totals[2].asscalar()) - self._replaced

    def wait_for_all(self) -> None:
        """Wait until all workers have made this call."""
        if self._exchange:
            self._exchange.wait()

    def abandon(self, status: int) -> NoReturn:
        """End this process without waiting for the other workers."""
        if self.is_one_of_several:
            os._exit(status)  # MXNet's store would wait for them
        sys.exit(status)

    def _total_labelled(self, count: int) -> Union[int, nd.NDArray]:
        """Return how many labelled pixels all workers have, at least 1; ``count`` are this worker's."""
        self._labelled = count
        if not self.is_one_of_several:
            return max(count, 1)
        counts = [float(count), float(self._stop), float(self._replaced)]
        self._totals = self._all_reduce(_COUNTS, counts)
        return nd.maximum(self._totals[0:1], 1)

    def _all_reduce(self, key: str, values: Union[nd.NDArray, List[float]]) -> nd.NDArray:
        """Return the sums over all workers of values that each has one of."""
        summed = values if isinstance(values, nd.NDArray) else nd.array(values)
        if self._exchange and self.is_one_of_several:
            self._exchange.sum({key: [summed]})
        return summed


def sum_of_losses(losses: Sequence[Losses]) -> Losses:
    """Add the losses of parts, which may be on several devices; the sums are on the first part's."""
    first, rest = losses[0], losses[1:]
    context = next(iter(first.values())).context
    return {name: sum((part[name].as_in_context(context) for part in rest), value) for name, value in first.items()}


def _trainable(trainer: Trainer) -> List[Tuple[int, Parameter]]:
    return [(index, param) for index, param in enumerate(trainer._params) if param.grad_req != "null"]


def _on(context: mx.Context, value: Union[float, nd.NDArray]) -> Union[float, nd.NDArray]:
    return value.as_in_context(context) if isinstance(value, nd.NDArray) else value


def _all_finite(arrays: Sequence[nd.NDArray]) -> nd.NDArray:
    """Return whether all values of arrays are finite, (1,): 1 or 0."""
    flag = nd.ones((1,), ctx=arrays[0].context)
    for array in arrays:
        # Not the operator for several arrays at once: it takes the time of the largest for each, and past its limit of
        # 200 it writes out of bounds.
        nd.all_finite(array, init_output=False, out=flag)
    return flag


def _key(name: str, index: int) -> str:
    return f"{name}/{index}"


def _local_store(contexts: Sequence[mx.Context]) -> str:
    """Name the kind of store that sums on the devices, if these are GPUs, or on the CPU."""
    return "device" if contexts[0].device_type == "gpu" else "local"
