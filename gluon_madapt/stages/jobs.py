"""Running the tools as processes side by side: on two cores, two one-thread trainings beat one on two threads."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from gluon_madapt.errors import FailureError, UserError

_POLL_SECONDS = 0.2


class Job(NamedTuple):
    """Commands to run one after the other, in one log; ``needs`` names the jobs that must be done before."""

    name: str
    commands: Tuple[Tuple[str, ...], ...]
    log: Path
    needs: Tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], workers: int, on_done: Callable[[Job], None]) -> None:
    """Run all jobs, at most ``workers`` at a time, each on one thread; earlier ones in the list first.

    Parameters
    ----------
    jobs : sequence of Job
        What to run; a job's ``needs`` are among them.
    workers : int
        Processes at a time.
    on_done : callable
        Called with each job when it is done.

    Raises
    ------
    UserError, FailureError
        If a command fails, by its exit status; the others are stopped.
    """
    waiting, running, done = list(jobs), [], set()
    status = _StatusLine()
    try:
        while waiting or running:
            for job in [job for job in waiting if set(job.needs) <= done][: workers - len(running)]:
                waiting.remove(job)
                running.append(_RunningJob(job))
            for one in list(running):
                if one.finished():
                    running.remove(one)
                    done.add(one.job.name)
                    status.clear()
                    on_done(one.job)
            status.show([one.last_line() for one in running])
            time.sleep(_POLL_SECONDS)
    finally:
        status.clear()
        for one in running:
            one.stop()


class _RunningJob:
    def __init__(self, job: Job):
        self.job = job
        self._left = list(job.commands)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        self._log = job.log.open("wb")
        self._start_next()

    def finished(self) -> bool:
        """Go on to the next command when one is done; tell whether all are."""
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            last = self.last_line() or "no output"
            error = UserError if code == 2 else FailureError
            raise error(f"{self.job.name}: {last} (exit status {code}; see {self.job.log})")
        if self._left:
            self._start_next()
            return False
        self._log.close()
        return True

    def last_line(self) -> str:
        with self.job.log.open("rb") as file:
            file.seek(max(0, self.job.log.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _start_next(self) -> None:
        environment: Dict[str, str] = dict(os.environ, OMP_NUM_THREADS="1")
        command = self._left.pop(0)
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, env=environment)


class _StatusLine:
    """What is going on, on one line of a terminal; nothing elsewhere."""

    def __init__(self):
        self._active = sys.stderr.isatty()

    def show(self, parts: List[str]) -> None:
        if self._active:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            shown = " | ".join(part[: (columns - 4) // max(1, len(parts))] for part in parts)
            sys.stderr.write(f"\r\x1b[K{shown[: columns - 1]}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._active:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
