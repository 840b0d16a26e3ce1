"""Standard output and error that never end the work: where they cannot take what is printed, that alone is lost."""

import logging
import os
import signal
import sys
from typing import Any, Optional

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
        What came in the way first; nothing is written after it.
    """

    def __init__(self, stream, kept: Optional[str] = None):
        self._stream, self._kept = stream, kept
        self.error: Optional[OSError] = None

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        self._attempt(self._stream.write, text if self._kept is None else printable(text, self._kept))
        return len(text)

    def flush(self) -> None:
        """Have what was written leave this process, or lose it."""
        self._attempt(self._stream.flush)

    def _attempt(self, action, *given) -> None:
        try:
            action(*given)
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
    """Tell whether there is still anybody, or anything, that takes what is printed."""
    return getattr(sys.stdout, "error", None) is None


def status_after_printing(status: int) -> int:
    """Return with what status to end, once all was printed; say so if it could not be.

    ``status`` is what it is otherwise.  After 0 it becomes 1, or, where a pipe was closed, as by ``head``, what a shell
    says of that; then there is nothing to say.
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
