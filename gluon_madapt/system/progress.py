"""Shows how far something has come: a bar on a terminal, or a line now and then elsewhere."""

import logging
import sys
from contextlib import ExitStack
from typing import Optional, Sequence

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

SECONDS_BETWEEN_LINES = 10.0  # side by side, commands are watched by the last lines of their logs
_LINE = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"

_log = logging.getLogger(__name__)


class Progress:
    """Shows steps done, time left and further facts by tqdm; what is logged meanwhile appears above its bar.

    Where standard error is no terminal, a line is logged at the beginning, every `SECONDS_BETWEEN_LINES` and at the
    end.

    Parameters
    ----------
    description : str
        What is being done.
    total : int
        Steps in all.
    done : int
        Steps that were done before.
    hidden : bool
        Show nothing: another process does.
    unit : str
        What a step is.
    """

    def __init__(self, description: str, total: int, done: int = 0, hidden: bool = False, unit: str = "img"):
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=description,
            total=total,
            initial=done,
            disable=hidden or done >= total,
            unit=unit,
            miniters=1,
            mininterval=0.1 if terminal else SECONDS_BETWEEN_LINES,
            dynamic_ncols=terminal,
            file=None if terminal else _LogLines(),
            bar_format=None if terminal else _LINE,
            # A bar below another one, as of an evaluation during a training, goes when it is done; a line stays.
            leave=None if terminal else True,
            position=None if terminal else 0,
        )
        self._redirected = ExitStack()
        if terminal and not self._bar.disable:
            self._redirected.enter_context(logging_redirect_tqdm())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        self._redirected.close()

    def one_more(self, facts: Optional[Sequence[str]] = None) -> None:
        """Count a step; ``facts`` are shown from now on, the most important first."""
        if facts is not None:
            self.show(facts)
        self._bar.update()

    def show(self, facts: Sequence[str]) -> None:
        """Replace the facts."""
        self._bar.set_postfix_str(", ".join(facts), refresh=False)


class _LogLines:
    """Takes what tqdm writes for a terminal, and logs each of its lines."""

    def write(self, text: str) -> None:
        """Log a line, without what would move a cursor."""
        line = text.strip()
        if line:
            _log.info("%s", line)

    def flush(self) -> None:
        """Do nothing: a line is logged at once."""
