"""Running the tools as processes, one after the other or side by side.

On two cores, two trainings of the small network on one thread each beat one on two threads.
"""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence, Set, Tuple

from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.names import printable
from gluon_madapt.system.children import end_of, start, threads_each
from gluon_madapt.system.stopping import StopSignals

_POLL_SECONDS = 0.2

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A command to run, what it says going to ``log``; ``needs`` names the jobs that must be done before."""

    name: str
    command: Tuple[str, ...]
    log: Path
    needs: Tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], workers: int, on_done: Callable[[Job], None]) -> None:
    """Run all jobs, at most ``workers`` at a time; earlier ones in the list first.

    SIGINT, SIGTERM and SIGHUP are passed on once, and end the process when what is running has saved its state and
    ended; the same one again, 2 s later or more, kills what is running.

    Parameters
    ----------
    jobs : sequence of Job
        What to run; a job's ``needs`` are among them.
    workers : int
        Processes at a time; more than one share the cores, unless OMP_NUM_THREADS was set.
    on_done : callable
        Called with each job when it is done.

    Raises
    ------
    UserError, FailureError
        If a command fails, by its exit status; the others are stopped, their state saved.
    """
    _Crew(jobs, workers, on_done).run()


class _Crew:
    """The jobs that run now, those that are done, and those that wait."""

    def __init__(self, jobs: Sequence[Job], workers: int, on_done: Callable[[Job], None]):
        self._waiting, self._workers, self._on_done = list(jobs), workers, on_done
        self._running: List[_RunningJob] = []
        self._done: Set[str] = set()
        self._threads = threads_each(workers) if workers > 1 else None
        self._status, self._stopping = _StatusLine(), False
        self._signals = StopSignals(lambda number: None, self._kill)

    def run(self) -> None:
        with self._signals:
            try:
                while self._running or (self._waiting and not self._signals.number):
                    self._start_what_can()
                    self._pass_signal_on()
                    self._see_what_has_ended()
                    self._status.show([one.status() for one in self._running])
                    time.sleep(_POLL_SECONDS)
            finally:
                self._status.clear()
                self._stop(signal.SIGTERM)
                for one in self._running:
                    one.wait()
        if self._signals.number:
            sys.exit(128 + self._signals.number)

    def _start_what_can(self) -> None:
        if not self._signals.number:
            ready = [job for job in self._waiting if set(job.needs) <= self._done]
            for job in ready[: self._workers - len(self._running)]:
                self._waiting.remove(job)
                self._running.append(_RunningJob(job, self._threads))

    def _see_what_has_ended(self) -> None:
        for one in list(self._running):
            if one.ended():
                self._running.remove(one)
                self._status.clear()
                if self._signals.number and one.failed():
                    _log.warning("%s: stopped (%s)", one.job.name, one.reason())
                    continue
                one.refuse_failure()
                self._done.add(one.job.name)
                self._on_done(one.job)

    def _pass_signal_on(self) -> None:
        if self._signals.number and not self._stopping:
            self._stopping = True
            self._status.clear()
            _log.warning("stopping: waits until what is running has saved its state; once more ends it at once")
            self._stop(self._signals.number)

    def _stop(self, number: int) -> None:
        for one in self._running:
            one.signal(number)

    def _kill(self, number: int) -> None:
        for one in self._running:
            one.signal(signal.SIGKILL)


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
        self._process = start(job.command, stdout=self._log, stderr=subprocess.STDOUT, env=environment)

    def ended(self) -> bool:
        """Tell whether the command has ended."""
        return self._process.poll() is not None

    def failed(self) -> bool:
        """Tell whether a command that has ended failed, or was stopped."""
        self._log.close()
        return self._process.returncode != 0

    def refuse_failure(self) -> None:
        """Raise an error if the command has failed."""
        if self.failed():
            code = self._process.returncode
            error = UserError if code == 2 else FailureError
            raise error(f"{self.job.name}: {self.reason()} ({end_of(code)}; see {self.job.log})")

    def status(self) -> str:
        """Return what the command said last, or its name before it has said anything."""
        line = self.last_line()
        return self.job.name if line.startswith("$ ") else line

    def last_line(self) -> str:
        lines = self._last_lines()
        return lines[-1] if lines else ""

    def reason(self) -> str:
        """Return what the command said of its end."""
        telling = [line for line in self._last_lines() if line.startswith("error: ") or "saved after iteration" in line]
        return (telling[-1:] or [self.last_line() or "no output"])[0]

    def _last_lines(self) -> List[str]:
        with self.job.log.open("rb") as file:
            file.seek(max(0, self.job.log.stat().st_size - 4000))
            return file.read().decode(errors="replace").strip().splitlines()

    def signal(self, number: int) -> None:
        """Send a signal to the command, unless it has ended."""
        self._process.send_signal(number)

    def wait(self) -> None:
        """Wait until the command has ended."""
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
            with contextlib.suppress(OSError):  # of a terminal that was closed
                columns = os.get_terminal_size(sys.stderr.fileno()).columns
                shown = " | ".join(part[: (columns - 4) // max(1, len(parts))] for part in parts)
                sys.stderr.write(f"\r\x1b[K{shown[: columns - 1]}")
                sys.stderr.flush()

    def clear(self) -> None:
        if self._active:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
