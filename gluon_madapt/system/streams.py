"""Keeps the work going when standard output or error fails: only what cannot be printed is lost."""

import logging
import os
import signal
import sys
from typing import Any, Callable, Optional, TextIO

from gluon_madapt.names import printable

_STANDARD = (0, 1, 2)


class LastingStream:
    """A text stream whose errors are noted, not raised; all else is that of the stream itself.

    Parameters
    ----------
    stream : text stream
        The stream.
    kept : str, optional
        Which control characters are written as they are, of those that `printable` writes out; all by default.

    Attributes
    ----------
    error : OSError, optional
        The first error; nothing is written after it.
    """

    def __init__(self, stream: TextIO, kept: Optional[str] = None):
        self._stream, self._kept = stream, kept
        self.error: Optional[OSError] = None

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        self._attempt(self._stream.write, text if self._kept is None else printable(text, self._kept))
        return len(text)

    def flush(self) -> None:
        """Have what was written leave this process, or lose it."""
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[..., object], *arguments: object) -> None:
        try:
            action(*arguments)
        except OSError as error:
            self.error = self.error or error
            _open_nothing(self._stream.fileno())  # which takes what the stream still has, now and at exit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LineFormatter(logging.Formatter):
    """Logs each message as one line in which no name acts on the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        return printable(super().formatMessage(record))


def open_closed() -> None:
    """Open, to nothing, those of the three standard streams that were closed when the process began.

    What is opened later, a checkpoint, say, would otherwise take the place of one, and get all that C libraries print.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            _open_nothing(number)


def protect() -> None:
    """Have standard output and error take every text, and survive full devices and pipes that are closed."""
    sys.stdout = _protected(sys.stdout, 1, "\n\t")
    sys.stderr = _protected(sys.stderr, 2)


def _protected(stream, number: int, kept: Optional[str] = None) -> LastingStream:
    if isinstance(stream, LastingStream):
        return stream
    if stream is None:  # it was not open when Python started
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: PTH123, SIM115 - until the process ends
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return LastingStream(stream, kept)


def _open_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)


def is_read() -> bool:
    """Tell whether what is printed still reaches anybody."""
    return getattr(sys.stdout, "error", None) is None


def status_after_printing(status: int) -> int:
    """Return the exit status of a process that has printed everything; report output that could not be written.

    ``status`` is the status without such an error.  A 0 becomes 1, or, where a pipe was closed, as by ``head``, the
    status that a shell gives to that, without a message.
    """
    sys.stdout.flush()
    error = getattr(sys.stdout, "error", None)
    if isinstance(error, BrokenPipeError):
        status = status or 128 + signal.SIGPIPE
    elif error:
        sys.stderr.write(
            f"error: standard output: cannot be written ({error.strerror}): what was printed is lost, files are not\n"
        )
        status = status or 1
    sys.stderr.flush()
    return status
