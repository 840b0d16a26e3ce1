"""Handles the signals that ask a process to stop: the first one lets it save its work."""

import signal
import time
from types import FrameType
from typing import Callable, Dict, List, Optional, Set, Union

# Ctrl-C; what timeout, Slurm, systemd and kill send; the terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# One Ctrl-C may come by several ways, and a supervisor may signal a process and its group, or by two signals.
SAME_SECONDS = 2.0

_Handler = Union[Callable[[int, Optional[FrameType]], object], int, signal.Handlers, None]


class StopSignals:
    """Handles stop signals during a ``with`` block, but those that the process was started to ignore.

    Parameters
    ----------
    stop : callable
        Called at the first signal, with its number.
    at_once : callable
        Called when a signal comes again 2 s after the first one or later: somebody is tired of waiting.

    Attributes
    ----------
    number : int or None
        The first signal.
    """

    def __init__(self, stop: Callable[[int], None], at_once: Callable[[int], None]):
        self.number: Optional[int] = None
        self._stop, self._at_once = stop, at_once
        self._seen: Set[int] = set()
        self._first = 0.0
        self._previous: Dict[int, _Handler] = {}

    def __enter__(self) -> "StopSignals":
        self._previous = {number: signal.signal(number, self._on_signal) for number in _heeded()}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        again, now = number in self._seen, time.monotonic()
        self._seen.add(number)
        if self.number is None:
            self.number, self._first = number, now
            self._stop(number)
        elif again and now - self._first > SAME_SECONDS:
            self._at_once(number)


def _heeded() -> List[int]:
    """Return those of `SIGNALS` that this process was not started to ignore, as nohup and a shell's & would have it."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
