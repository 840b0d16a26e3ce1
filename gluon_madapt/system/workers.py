"""Tells what this process is of a training by several, and ends it when it is cut off from the others.

The first is asked before MXNet is imported, which takes seconds.
"""

import os
import signal
import socket
import sys
import threading
import time
import weakref
from typing import Dict, Optional

from gluon_madapt.system.stopping import SAME_SECONDS, SIGNALS

_ASK_EVERY = 2.0
# No answer for so long, or so many refusals in a row, which say that the scheduler's machine is there and it is not.
_LOST_SECONDS = 15.0
_REFUSALS = 2
# A scheduler that was never there may still be about to start.
_START_SECONDS = 300.0
_FAILED = 1


def is_one_of_several() -> bool:
    """Tell whether the process is a worker of a distributed training (DMLC_ROLE)."""
    return os.environ.get("DMLC_ROLE") == "worker"


def serve_until_workers_end() -> None:
    """Have a scheduler or server, which ends with the workers, live through what asks all of a training to stop.

    Slurm's scancel signals all processes of a job, and workers need these two until all of them have saved.  The same
    signal again, 2 s later or more, ends it.  A server ends, too, when its scheduler is gone.
    """
    role = os.environ.get("DMLC_ROLE")
    if role not in ("scheduler", "server"):
        return
    # The main thread is inside MXNet from now on, where Python handles no signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_end_at_the_second, daemon=True).start()
    if role == "server":
        SchedulerWatch()


class SchedulerWatch:
    """Ends this process, with status 1, once the scheduler cannot be reached: MXNet would wait for ever.

    That is after 15 s without an answer, or at once where its machine says that it is gone; a scheduler that was never
    there is waited for five minutes.
    """

    def __init__(self) -> None:
        self._store: Optional[weakref.ref] = None
        address = os.environ["DMLC_PS_ROOT_URI"], int(os.environ["DMLC_PS_ROOT_PORT"])
        threading.Thread(target=self._watch, args=address, daemon=True).start()

    def until_gone(self, store: object) -> None:
        """End the watch, and not the process, once a key-value store is gone, since there is nothing to wait for."""
        self._store = weakref.ref(store)

    @property
    def _over(self) -> bool:
        return self._store is not None and self._store() is None

    def _watch(self, host: str, port: int) -> None:
        address, answered, seen, refusals = host, False, time.monotonic(), 0
        while not self._over and time.monotonic() - seen < (_LOST_SECONDS if answered else _START_SECONDS):
            if answered and refusals == _REFUSALS:
                break
            time.sleep(_ASK_EVERY)
            try:
                with socket.create_connection((address, port), timeout=_ASK_EVERY) as connection:
                    address = connection.getpeername()[0]  # so that a name is looked up once
                answered, seen, refusals = True, time.monotonic(), 0
            except ConnectionRefusedError:
                refusals += 1
            except OSError:  # no route, or no answer in time
                refusals = 0
        if not self._over:
            why = "does not answer any more" if answered else "cannot be reached"
            print(
                f"error: the scheduler at {host}:{port} {why}, so this process ends: what was saved last is where the "
                "same command goes on",
                file=sys.stderr,
                flush=True,
            )
            os._exit(_FAILED)


def _end_at_the_second() -> None:
    first: Dict[int, float] = {}
    while True:
        number = signal.sigwait(SIGNALS)
        if time.monotonic() - first.setdefault(number, time.monotonic()) > SAME_SECONDS:
            os._exit(128 + number)
