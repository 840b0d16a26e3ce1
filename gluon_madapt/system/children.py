"""Starts processes that stop when this one is gone; says how many threads they get, and how they ended."""

import os
import subprocess
import sys
from typing import List, Sequence

from gluon_madapt import THREADS_CHOSEN
from gluon_madapt.system.threads import cores

_PR_SET_PDEATHSIG = 1
# Has the kernel ask the command to stop when the process that started it is gone, however that ended, and becomes the
# command.  A process of its own does so, since Python must not run in a fork of a process with threads.
_TIED = (
    "import ctypes, os, signal, sys\n"
    f"ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGTERM)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(128 + signal.SIGTERM)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)


def start(command: Sequence[str], **options) -> subprocess.Popen:
    """Start a command that gets no signal of this process's group, and SIGTERM when this process is gone.

    In a session of its own: a Ctrl-C reaches it once, by the process that started it, and not through the terminal too.
    """
    tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
    return subprocess.Popen(tied, stdin=subprocess.DEVNULL, start_new_session=True, **options)


def threads_each(processes: int) -> str:
    """Return OMP_NUM_THREADS for each of several processes side by side: the user's, or its share of the cores."""
    return os.environ["OMP_NUM_THREADS"] if THREADS_CHOSEN else str(max(1, cores() // processes))


def end_of(status: int) -> str:
    """Return how a process ended, in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def stopped_by(numbers: Sequence[int]) -> List[int]:
    """Return how processes end after signals: with their state saved, or before they could handle one."""
    return [status for number in numbers for status in (128 + number, -number)]
