"""Work on several cores at once: threads, since worker processes of MXNet leak shared memory."""

import math
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Deque, Generator, Iterable, TypeVar

_TOPOLOGY = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many physical cores this process may use: threads of one core count once, a container's quota counts.

    MXNet itself takes half of the processors, on the guess that each core has two threads; where that is not so, as on
    most virtual machines, half of the machine would idle.
    """
    processors = os.sched_getaffinity(0)
    names = ("physical_package_id", "core_id")
    try:
        found = {tuple((_TOPOLOGY / f"cpu{n}/topology/{name}").read_text() for name in names) for n in processors}
    except OSError:
        found = processors
    return max(1, min(len(found), _quota()))


def _quota() -> int:
    """Return how many processors' worth of time the control group grants, rounded up."""
    try:
        quota, period = _QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return len(os.sched_getaffinity(0))


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in their order.

    Parameters
    ----------
    function : callable
        What to do with an item; its errors are raised where its result would be yielded.
    items : iterable
        The items; not all are held at once.
    threads : int
        How many are worked on at the same time.
    ahead : int
        How many are begun before the first of them is asked for.

    Closing the iterator waits for the items that are being worked on, and drops those that are not.
    """
    waiting: Deque[Future] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()
