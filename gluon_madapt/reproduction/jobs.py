"""Runs the tools as processes, one after the other or side by side.

On two cores, two trainings of the small network on one thread each beat one on two threads.
"""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.names import printable
from gluon_madapt.system.children import end_of, start, threads_each
from gluon_madapt.system.stopping import StopSignals

_SECONDS_BETWEEN_LOOKS = 0.2
_LAST_BYTES = 4000  # of a log, where its last lines are

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A command to run; its output goes to ``log``, and ``needs`` names the jobs that must be done before.

    ``length`` is about how long it takes, in any unit that all have in common.
    """

    name: str
    command: Tuple[str, ...]
    log: Path
    needs: Tuple[str, ...] = ()
    length: int = 1


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
    _Pool(jobs, workers, on_done).run()


def longest_chain_first(jobs: Sequence[Job]) -> List[Job]:
    """Return jobs in the order in which several workers end soonest: a long chain is not what they all wait for."""
    length: Dict[str, int] = {}

    def count(job: Job) -> int:
        if job.name not in length:
            length[job.name] = job.length + max((count(one) for one in jobs if job.name in one.needs), default=0)
        return length[job.name]

    return sorted(jobs, key=count, reverse=True)


class _Pool:
    """The jobs that wait, those that run and those that are done.

    No threads wait for the commands, as those of `concurrent.futures` would: when this process is killed, the kernel
    would send SIGTERM to each command again for every thread that dies, and one that is saving its state would end.
    """

    def __init__(self, jobs: Sequence[Job], workers: int, on_done: Callable[[Job], None]):
        self._waiting, self._workers, self._on_done = list(jobs), workers, on_done
        self._running: List[_RunningJob] = []
        self._done: Set[str] = set()
        self._threads = threads_each(workers) if workers > 1 else None
        self._status, self._stopping = _StatusLine(), False
        self._signals = StopSignals(lambda number: None, lambda number: self._send(signal.SIGKILL))

    def run(self) -> None:
        with self._signals:
            try:
                while self._running or (self._waiting and not self._signals.number):
                    self._start_what_can()
                    self._pass_signal_on()
                    self._see_what_has_ended()
                    self._status.show([job.status() for job in self._running])
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            finally:
                self._status.clear()
                self._send(signal.SIGTERM)
                for job in self._running:
                    job.process.wait()
        if self._signals.number:
            sys.exit(128 + self._signals.number)

    def _start_what_can(self) -> None:
        if not self._signals.number:
            ready = [job for job in self._waiting if set(job.needs) <= self._done]
            for job in ready[: self._workers - len(self._running)]:
                self._waiting.remove(job)
                self._running.append(_RunningJob(job, self._threads))

    def _see_what_has_ended(self) -> None:
        for job in list(self._running):
            status = job.process.poll()
            if status is not None:
                self._running.remove(job)
                self._end(job, status)

    def _end(self, ended: "_RunningJob", status: int) -> None:
        self._status.clear()
        if status and self._signals.number:
            _log.warning("%s: stopped (%s)", ended.job.name, ended.reason())
            return
        ended.refuse_failure(status)
        self._done.add(ended.job.name)
        self._on_done(ended.job)

    def _pass_signal_on(self) -> None:
        if self._signals.number and not self._stopping:
            self._stopping = True
            self._status.clear()
            _log.warning("stopping: waits until what is running has saved its state; once more ends it at once")
            self._send(self._signals.number)

    def _send(self, number: int) -> None:
        for job in self._running:
            job.process.send_signal(number)


class _RunningJob:
    """A command that was started, and its log."""

    def __init__(self, job: Job, threads: Optional[str]):
        self.job = job
        environment = dict(os.environ, OMP_NUM_THREADS=threads) if threads else None
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            log = job.log.open("ab")
        except OSError as error:
            raise UserError(f"{job.log}: cannot be written ({error.strerror}): choose another --run-dir") from None
        with log:
            log.write(f"$ {printable(shlex.join(job.command))}\n".encode())
            log.flush()
            self.process = start(job.command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def refuse_failure(self, status: int) -> None:
        """Raise an error if the command has failed."""
        if status:
            error = UserError if status == 2 else FailureError
            raise error(f"{self.job.name}: {self.reason()} ({end_of(status)}; see {self.job.log})")

    def status(self) -> str:
        """Return what the command said last, or its name before it has said anything."""
        lines = self._last_lines()
        return lines[-1] if lines and not lines[-1].startswith("$ ") else self.job.name

    def reason(self) -> str:
        """Return what the command said of its end."""
        lines = self._last_lines() or ["no output"]
        telling = [line for line in lines if line.startswith("error: ") or "saved after iteration" in line]
        return (telling or lines)[-1]

    def _last_lines(self) -> List[str]:
        with self.job.log.open("rb") as file:
            file.seek(max(0, self.job.log.stat().st_size - _LAST_BYTES))
            return file.read().decode(errors="replace").strip().splitlines()


class _StatusLine:
    """What is going on, on one line of a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._active = sys.stderr.isatty()

    def show(self, parts: Sequence[str]) -> None:
        if self._active:
            with suppress(OSError):  # of a terminal that was closed
                columns = os.get_terminal_size(sys.stderr.fileno()).columns
                shown = " | ".join(printable(part)[: (columns - 4) // max(1, len(parts))] for part in parts)
                self._write(shown[: columns - 1])

    def clear(self) -> None:
        if self._active:
            with suppress(OSError):
                self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
