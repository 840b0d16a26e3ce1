"""Sums over workers come out the same, bit for bit, in whatever order a server adds up what arrives."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mxnet import nd

from gluon_madapt.training.exchange import Exchange

SIZE = 1000
SEEDS = range(4)


class Server:
    """Adds up the arrays of all workers, float32, in an order that a seed decides, as MXNet's server does."""

    def __init__(self, workers, seed):
        self._rng, self._workers = np.random.default_rng(seed), workers
        self.barrier = threading.Barrier(workers, timeout=60)
        self._pushed = {}
        self.values = {}

    def add_up(self, key, rank, array):
        self._pushed[rank] = array
        if self.barrier.wait() == 0:
            order = self._rng.permutation(self._workers)
            total = self._pushed[order[0]].copy()
            for one in order[1:]:
                total += self._pushed[one]
            self.values[key] = total
        self.barrier.wait()
        return self.values[key]


class Store:
    """What a worker sees of the server."""

    type = "dist_sync"

    def __init__(self, server, rank, workers):
        self._server, self.rank, self.num_workers = server, rank, workers

    def init(self, key, value):
        if self.rank == 0:
            self._server.values[key] = value.asnumpy()
        self._barrier()

    def pull(self, key, out):
        out[:] = nd.array(self._server.values[key])

    def pushpull(self, key, value, out, priority):
        total = self._server.add_up(key, self.rank, sum(array.asnumpy() for array in value))
        for array in {id(one): one for one in (*value, *out)}.values():  # MXNet overwrites what it was given, too
            array[:] = nd.array(total)

    def _barrier(self):
        self._server.barrier.wait()


def gradients(workers):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=SIZE) * 10.0 ** rng.integers(-4, 4, SIZE)).astype("f4") for _ in range(workers)]


def summed(workers, seed, repeatable=True, devices=1):
    """Return what each worker makes of the sum, and its cost."""
    server = Server(workers, seed)

    def work(rank):
        exchange = Exchange(Store(server, rank, workers), repeatable)
        exchange.broadcast({"gradient": np.zeros(SIZE, "f4")})
        exchange.begin(measure=True)
        own = gradients(workers)[rank]
        arrays = [nd.array(own)] + [nd.zeros((SIZE,)) for _ in range(devices - 1)]
        exchange.sum({"gradient": arrays})
        return [array.asnumpy() for array in arrays], exchange.cost

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(workers)))


@pytest.mark.parametrize("workers", [2, 3, 4, 5])
def test_the_order_of_arrival_does_not_change_a_bit(workers):
    parts = gradients(workers)
    pairs = [parts[i] + parts[i + 1] if i + 1 < workers else parts[i] for i in range(0, workers, 2)]
    expected = pairs[0]
    for pair in pairs[1:]:
        expected = expected + pair
    for seed in SEEDS:
        for arrays, _ in summed(workers, seed):
            assert arrays[0].tobytes() == expected.tobytes(), seed


def test_without_it_the_order_does():
    assert len({arrays[0].tobytes() for seed in SEEDS for arrays, _ in summed(3, seed, repeatable=False)}) > 1


def test_all_devices_of_a_worker_get_the_sum():
    for arrays, _ in summed(3, 0, devices=2):
        assert arrays[0].tobytes() == arrays[1].tobytes() == summed(3, 1)[0][0][0].tobytes()


@pytest.mark.parametrize(
    ("workers", "repeatable", "times"), [(2, True, 1), (3, True, 2), (4, True, 2), (5, True, 3), (5, False, 1)]
)
def test_what_is_sent_is_counted(workers, repeatable, times):
    for _, cost in summed(workers, 0, repeatable):
        assert cost.sent == cost.received == times * 4 * SIZE
        assert cost.communicating > 0
        assert cost.waiting >= 0
