"""Cleans the variables that MXNet, OpenMP and Numba read on import; some of them abort at a wrong one."""

import contextlib
import os
import re
import sys

from gluon_madapt.system.threads import cores

# More threads than this on each processor only wait for one another.
_MOST_PER_PROCESSOR = 4
_THREADS = re.compile(r"OMP_NUM_THREADS|OMP_THREAD_LIMIT|NUMBA_NUM_THREADS|MXNET_\w*THREADS")
_ENGINES = ("NaiveEngine", "ThreadedEngine", "ThreadedEnginePerDevice")


def clean_environment() -> None:
    """Make numbers of threads plain ones that this machine can run, and drop what is no number, with a line for each.

    ``OMP_NUM_THREADS=4,2``, a number for each level of nested loops, is 4: neither MXNet nor Numba nests them.
    """
    most = _MOST_PER_PROCESSOR * len(os.sched_getaffinity(0))
    for name, value in list(os.environ.items()):
        if name == "MXNET_ENGINE_TYPE" and value not in _ENGINES:
            _drop(name, f"expected one of {', '.join(_ENGINES)}")
        if not _THREADS.fullmatch(name):
            continue
        first = value.split(",")[0].strip() if name == "OMP_NUM_THREADS" else value.strip()
        if not re.fullmatch(r"\+?0*[1-9][0-9]*", first):
            _drop(name, "expected a number of threads")
        elif len(first) > len(str(most)) + 1 or int(first) > most:
            _say(f"{name}={value[:20]}: this machine has {most // _MOST_PER_PROCESSOR} processors: {cores()} are used")
            os.environ[name] = str(cores())
        else:
            os.environ[name] = str(int(first))


def _drop(name: str, expected: str) -> None:
    value = os.environ.pop(name)
    if value.strip():  # empty: not set, to most programs
        _say(f"{name}={value[:20]}: {expected}: it is ignored")


def _say(text: str) -> None:
    if sys.stderr:
        with contextlib.suppress(OSError, ValueError):  # it is closed
            sys.stderr.write(f"warning: {ascii(text)[1:-1]}\n")
