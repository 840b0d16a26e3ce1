"""Running the tools as processes, one after the other or side by side.

On two cores, two trainings of the small network on one thread each beat one on two threads.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.names import printable

_POLL_SECONDS = 0.2


class Job(NamedTuple):
    """A command to run, what it says going to ``log``; ``needs`` names the jobs that must be done before."""

    name: str
    command: Tuple[str, ...]
    log: Path
    needs: Tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], workers: int, on_done: Callable[[Job], None]) -> None:
    """Run all jobs, at most ``workers`` at a time; earlier ones in the list first.

    Parameters
    ----------
    jobs : sequence of Job
        What to run; a job's ``needs`` are among them.
    workers : int
        Processes at a time; more than one are given a thread each.
    on_done : callable
        Called with each job when it is done.

    Raises
    ------
    UserError, FailureError
        If a command fails, by its exit status; the others are stopped.
    """
    waiting, running, done = list(jobs), [], set()
    threads = "1" if workers > 1 else None
    status = _StatusLine()
    try:
        while waiting or running:
            for job in [job for job in waiting if set(job.needs) <= done][: workers - len(running)]:
                waiting.remove(job)
                running.append(_RunningJob(job, threads))
            for one in list(running):
                if one.finished():
                    running.remove(one)
                    done.add(one.job.name)
                    status.clear()
                    on_done(one.job)
            status.show([one.status() for one in running])
            time.sleep(_POLL_SECONDS)
    finally:
        status.clear()
        for one in running:
            one.stop()


class _RunningJob:
    def __init__(self, job: Job, threads: Optional[str]):
        self.job = job
        environment = dict(os.environ, OMP_NUM_THREADS=threads) if threads else None
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            self._log = job.log.open("ab")
        except OSError as error:
            raise UserError(f"{job.log}: cannot be written ({error.strerror}): choose another --run-dir") from None
        self._log.write(f"$ {printable(shlex.join(job.command))}\n".encode())
        self._log.flush()
        self._process = subprocess.Popen(job.command, stdout=self._log, stderr=subprocess.STDOUT, env=environment)

    def finished(self) -> bool:
        """Tell whether the command is done."""
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            error = UserError if code == 2 else FailureError
            raise error(f"{self.job.name}: {self._reason()} (exit status {code}; see {self.job.log})")
        self._log.close()
        return True

    def status(self) -> str:
        """Return what the command said last, or its name before it has said anything."""
        line = self.last_line()
        return self.job.name if line.startswith("$ ") else line

    def last_line(self) -> str:
        lines = self._last_lines()
        return lines[-1] if lines else ""

    def _reason(self) -> str:
        errors = [line for line in self._last_lines() if line.startswith("error: ")]
        return (errors[-1:] or [self.last_line() or "no output"])[0]

    def _last_lines(self) -> List[str]:
        with self.job.log.open("rb") as file:
            file.seek(max(0, self.job.log.stat().st_size - 4000))
            return file.read().decode(errors="replace").strip().splitlines()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


class _StatusLine:
    """What is going on, on one line of a terminal; nothing elsewhere."""

    def __init__(self):
        self._active = sys.stderr.isatty()

    def show(self, parts: List[str]) -> None:
        if self._active:
            try:
                columns = os.get_terminal_size(sys.stderr.fileno()).columns
            except OSError:  # it has hung up
                self._active = False
                return
            shown = " | ".join(printable(part)[: (columns - 4) // max(1, len(parts))] for part in parts)
            sys.stderr.write(f"\r\x1b[K{shown[: columns - 1]}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._active:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
