"""How far a pass over many images has come: a bar on a terminal, a line now and then elsewhere."""

import logging
import time

from tqdm import tqdm

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"
_SECONDS_BETWEEN_LINES = 30.0

_log = logging.getLogger(__name__)


class Progress:
    """Images per second and time left.

    Parameters
    ----------
    description : str
        What is being done.
    total : int
        Images in all.
    done : int
        Those that were done before.
    """

    def __init__(self, description: str, total: int, done: int = 0):
        self._description = description
        self._bar = tqdm(desc=description, total=total, initial=done, unit=" images", bar_format=_BAR, disable=None)
        self._total, self._before, self._done = total, done, done
        self._began = self._said = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self._bar.close()

    def one_more(self) -> None:
        """Count an image."""
        self._bar.update()
        self._done += 1
        now = time.monotonic()
        if not self._bar.disable or now - self._said < _SECONDS_BETWEEN_LINES:  # the bar says it all
            return
        self._said = now
        rate = (self._done - self._before) / (now - self._began)
        left = (self._total - self._done) / rate
        _log.info("%s %d/%d  %.1f images/s  %.0f s left", self._description, self._done, self._total, rate, left)
