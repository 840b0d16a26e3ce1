"""Sums arrays over devices and workers, by MXNet's key-value store, and measures what that takes."""

import time
from functools import reduce
from operator import add
from typing import Dict, List, NamedTuple

import numpy as np
from mxnet import nd
from mxnet.kvstore import KVStore


class Cost(NamedTuple):
    """What the exchange of an iteration took in this worker.

    Attributes
    ----------
    sent, received : int
        Bytes of gradients and losses to and from the servers, without what their protocol adds.
    communicating, waiting : float
        Seconds that sums took when all workers were ready, and seconds spent waiting for those that were not; 0 unless
        they were measured.
    """

    sent: int = 0
    received: int = 0
    communicating: float = 0.0
    waiting: float = 0.0


class Exchange:
    """The sums of a training over devices and workers.

    A server adds up what workers push in the order in which it arrives, and so three floats or more come out otherwise
    each time.  With ``repeatable`` sums, workers are taken in pairs: each pair has a key of its own, to which all
    others push zeros, and every worker adds up the pairs in their order.  The sums are the same, bit for bit, each
    time, and ceil(workers / 2) times as much is sent and received.

    Parameters
    ----------
    store : KVStore
        MXNet's: a local one over devices, or a distributed one over workers, too.
    repeatable : bool
        Whether sums over three workers or more are to be the same each time.

    Attributes
    ----------
    rank : int
        The number of this worker, from 0.
    workers : int
        How many workers there are.
    cost : Cost
        Of the sums since `begin`.
    """

    def __init__(self, store: KVStore, repeatable: bool = True):
        self._store = store
        self.is_distributed = store.type.startswith("dist")
        self.rank: int = store.rank if self.is_distributed else 0
        self.workers: int = store.num_workers if self.is_distributed else 1
        self._pairs = -(-self.workers // 2) if repeatable else 1
        self._pair = self.rank // 2 if self._pairs > 1 else 0
        self.cost = Cost()
        self._measures = False

    def broadcast(self, values: Dict[str, np.ndarray]) -> Dict[str, nd.NDArray]:
        """Initialise what `sum` is to be called on, and return the values that the first worker gave, float32."""
        received = {key: nd.empty(value.shape) for key, value in values.items()}
        for key, value in values.items():
            for part in self._keys(key):
                self._store.init(part, nd.array(value))
        # MXNet's init returns before its value has reached the server, and another worker may ask for it first; what
        # the first worker itself has pulled has arrived.
        for is_turn in (self.rank == 0, self.rank != 0):
            if is_turn:
                for key, value in received.items():
                    for part in self._keys(key):
                        self._store.pull(part, value)
                nd.waitall()
            self.wait()
        return received

    def begin(self, measure: bool) -> None:
        """Begin an iteration; to ``measure`` its sums, all workers wait for each other before each of them."""
        self.cost, self._measures = Cost(), measure and self.is_distributed

    def sum(self, arrays: Dict[str, List[nd.NDArray]]) -> None:
        """Replace arrays, by key a list with one for each device, by their sums over all devices and workers.

        The first keys are exchanged first.  Nothing is waited for unless `begin` was told to measure.
        """
        if not self._measures:
            self._sum(arrays)
            return
        nd.waitall()
        ready = time.perf_counter()
        self.wait()
        began = time.perf_counter()
        self._sum(arrays)
        nd.waitall()
        self._add(communicating=time.perf_counter() - began, waiting=began - ready)

    def wait(self) -> None:
        """Wait until all workers have made this call."""
        if self.is_distributed:
            self._store._barrier()

    def _sum(self, arrays: Dict[str, List[nd.NDArray]]) -> None:
        for place, (key, of_devices) in enumerate(arrays.items()):
            parts = self._keys(key)
            if self.is_distributed:
                moved = 4 * of_devices[0].size * len(parts)
                self._add(sent=moved, received=moved)
            # MXNet puts what it receives where the pushed array was, too, so each is its own.
            sums = [
                of_devices if pair == self._pair else [nd.zeros_like(of_devices[0])] for pair, _ in enumerate(parts)
            ]
            for part, arrays_of_pair in zip(parts, sums):
                self._store.pushpull(part, arrays_of_pair, out=arrays_of_pair, priority=-place)
            if len(parts) > 1:
                total = reduce(add, (first for first, *_ in sums))
                for array in of_devices:
                    total.copyto(array)

    def _keys(self, key: str) -> List[str]:
        return [key] if self._pairs == 1 else [f"{key}/{pair}" for pair in range(self._pairs)]

    def _add(self, **more) -> None:
        self.cost = self.cost._replace(**{name: getattr(self.cost, name) + value for name, value in more.items()})
