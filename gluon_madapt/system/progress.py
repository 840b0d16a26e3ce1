"""How far something has come, for people: one line of a terminal that moves, or a line now and then elsewhere."""

import logging
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import Callable, Deque, Iterator, List, Optional, Sequence, Tuple

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from gluon_madapt.formats import images_per_second

SECONDS_BETWEEN_LINES = 10.0  # side by side, commands are watched by the last lines of their logs
_MARKS, _SECONDS_BETWEEN_MARKS = 60, 1.0
_USUAL_WIDTH = 80
_LEAST_BAR, _WIDEST_BAR = 5, 40

_log = logging.getLogger(__name__)


class Progress:
    """Steps done, time left and further facts, on standard error; what is logged meanwhile appears above.

    On a terminal, facts that the line has no room for are left out, the last ones first.  Elsewhere there is a line
    with the first facts that are given, one every `SECONDS_BETWEEN_LINES`, and one at the end.

    Parameters
    ----------
    description : str
        What is being done.
    total : int
        Steps in all.
    done : int
        Those that were done before.
    hidden : bool
        Show nothing: another process does.
    """

    def __init__(self, description: str, total: int, done: int = 0, hidden: bool = False):
        self._description, self._total, self._done = description, total, done
        self._pace = _Pace(done)
        self._facts: Optional[Sequence[str]] = None
        # With leave=None, a bar below another one, as of an evaluation during a training, goes when it is done.
        disable = True if hidden else None
        self._bar = _Bar(self._items, desc=description, total=total, initial=done, disable=disable, leave=None)
        self._lines = self._bar.disable and not hidden
        self._news, self._said = False, time.monotonic()
        self._redirected = ExitStack()

    def __enter__(self) -> "Progress":
        if not self._bar.disable:
            self._redirected.enter_context(logging_redirect_tqdm())
        return self

    def __exit__(self, *error) -> None:
        self._bar.close()
        self._redirected.close()
        if self._news:
            self._say()

    def one_more(self, facts: Optional[Sequence[str]] = None) -> None:
        """Count a step.

        Parameters
        ----------
        facts : sequence of str, optional
            What to show beside the time left, the most important first, from now on; images per second by default,
            each step being one.
        """
        self._done += 1
        self._pace.count()
        due = time.monotonic() - self._said >= SECONDS_BETWEEN_LINES or (facts and not self._facts)
        self.show(self._facts if facts is None else facts)
        self._bar.update()
        if self._news and due and self._done < self._total:
            self._say()

    def show(self, facts: Optional[Sequence[str]]) -> None:
        """Replace the facts."""
        self._facts, self._news = facts, self._lines

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do something else than steps: it is not taken for a slower pace, but adds its share to the time left."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._pace.leave_out(time.monotonic() - began)

    def _items(self) -> List[str]:
        counted = f"{self._done}/{self._total}"
        if self._done >= self._total:
            timing = f"in {tqdm.format_interval(self._pace.passed)}"
        else:
            left = self._pace.seconds_for(self._total - self._done)
            timing = "" if left is None else f"{tqdm.format_interval(left)} left"
        facts = [images_per_second(self._pace.mean)] if self._facts is None and self._pace.mean else self._facts
        return [item for item in (counted, timing, *(facts or ())) if item]

    def _say(self) -> None:
        self._news, self._said = False, time.monotonic()
        _log.info("%s", "  ".join([self._description, *self._items()]))


class _Pace:
    """How fast steps are done, in seconds on a clock that pauses can be left out of."""

    def __init__(self, done: int):
        self._before = self._done = done
        self._began, self._paused = time.monotonic(), 0.0
        # Times after some of the last steps, and their numbers.  The first one is behind the first step of all, which
        # compiles.
        self._marks: Deque[Tuple[float, int]] = deque(maxlen=_MARKS)
        self._now = 0.0

    @property
    def passed(self) -> float:
        """Seconds since the beginning, pauses included."""
        return time.monotonic() - self._began

    @property
    def mean(self) -> float:
        """Steps per second since the beginning."""
        return (self._done - self._before) / max(self._now, 1e-9)

    def count(self) -> None:
        """Count a step."""
        self._done += 1
        self._now = self.passed - self._paused
        if not self._marks or self._now - self._marks[-1][0] >= _SECONDS_BETWEEN_MARKS:
            self._marks.append((self._now, self._done))

    def leave_out(self, seconds: float) -> None:
        """Take seconds that have passed for a pause."""
        self._paused += seconds

    def seconds_for(self, steps: int) -> Optional[float]:
        """Return how long more steps take, at the pace of the last minute or the last steps; None if not known yet."""
        since, number = self._marks[0] if self._marks else (self._now, self._done)
        if self._now <= since or self._done == number:
            return None
        pauses = self._paused / (self._done - self._before)
        return steps * ((self._now - since) / (self._done - number) + pauses)


class _Bar(tqdm):
    """tqdm's bar, with as many facts beside it as there is room for; they go before a bar that would be tiny."""

    def __init__(self, facts: Callable[[], List[str]], **options):
        self._facts_now = facts
        super().__init__(**options, dynamic_ncols=True, miniters=1)

    @property
    def format_dict(self):
        """What tqdm makes its line of."""
        values = super().format_dict
        width = values["ncols"] or _USUAL_WIDTH
        room = width - len(self.desc) - 1
        facts = self._facts_now()
        for gap, bar in (("  ", _LEAST_BAR + 3), (" ", _LEAST_BAR + 3), (" ", 0)):
            text = gap.join(facts)
            if len(text) + bar <= room:
                break
        while len(facts) > 1 and len(text) > room:
            facts = facts[:-1]
            text = " ".join(facts)
        bar = min(room - len(text) - 3, _WIDEST_BAR)
        shown = f"{{desc}} |{{bar:{bar}}}| {{facts}}" if bar >= _LEAST_BAR else "{desc} {facts}"
        return dict(values, ncols=width, facts=text, bar_format=shown)
