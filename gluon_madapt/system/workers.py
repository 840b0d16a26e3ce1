"""Tells what this process is of a training by several, and ends a worker that is cut off from the others.

The first is asked before MXNet is imported, which takes seconds.
"""

import os
import signal
import socket
import sys
import threading
import time
import weakref

_ASK_EVERY = 2.0
# No answer for so long, or this many refusals in a row, which say that the scheduler's machine is there and it is not.
_LOST_SECONDS = 15.0
_REFUSALS = 2
_FAILED = 1


def is_one_of_several() -> bool:
    """Tell whether the process is a worker of a distributed training (DMLC_ROLE)."""
    return os.environ.get("DMLC_ROLE") == "worker"


def serve_through_signals() -> None:
    """Let a scheduler or server, which ends with the workers, ignore what asks all of a training to stop.

    Slurm's scancel signals all processes of a job, and workers need these two until all of them have saved.
    """
    if os.environ.get("DMLC_ROLE") in ("scheduler", "server"):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def end_without_scheduler(store: object) -> None:
    """End this process, with status 1, once the scheduler cannot be reached for 15 s: MXNet would wait for ever.

    Parameters
    ----------
    store : object
        The key-value store that the scheduler has connected; when it is gone, so is what there was to wait for.
    """
    address = os.environ["DMLC_PS_ROOT_URI"], int(os.environ["DMLC_PS_ROOT_PORT"])
    threading.Thread(target=_watch, args=(weakref.ref(store), *address), daemon=True).start()


def _watch(store: "weakref.ref", host: str, port: int) -> None:
    answered, refusals = time.monotonic(), 0
    while store() is not None and refusals < _REFUSALS and time.monotonic() - answered < _LOST_SECONDS:
        time.sleep(_ASK_EVERY)
        try:
            socket.create_connection((host, port), timeout=_ASK_EVERY).close()
            answered, refusals = time.monotonic(), 0
        except ConnectionRefusedError:
            refusals += 1
        except OSError:  # no route, or no answer in time
            refusals = 0
    if store() is not None:
        print(
            f"error: the scheduler at {host}:{port} does not answer: the training was stopped: what was saved last is "
            "where the same command goes on",
            file=sys.stderr,
            flush=True,
        )
        os._exit(_FAILED)
