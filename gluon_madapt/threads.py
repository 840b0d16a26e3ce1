"""Work on several cores at once: threads, since worker processes of MXNet leak shared memory."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int) -> Iterator[Result]:
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
