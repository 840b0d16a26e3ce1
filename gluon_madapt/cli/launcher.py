"""Launches a distributed training: a scheduler, servers and workers, which MXNet's key-value store connects.

All end when one fails.  MXNet's processes find each other by the DMLC_* variables, here as on a cluster.
"""

import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.system.children import end_of, stopped_by, threads_each
from gluon_madapt.system.stopping import SIGNALS, StopSignals

_POLL_SECONDS = 0.1
# How long a process may take to end when it is told to.
_GRACE_SECONDS = 5.0

# A server or scheduler never leaves the import of MXNet before its work is done.
_SERVE = ("-c", "import gluon_madapt, mxnet")
_USERS_TO_MEND = 2
_PR_SET_PDEATHSIG = 1
_CTRL_C = b"\x03"
_STRAGGLER_SECONDS = 60.0

# ssh gives a machine up that has not answered for 12 s, and one that cannot be reached at first after 10 s.
_SSH_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=4", "ServerAliveCountMax=3")
_BY_SSH = 255  # its status when the connection is lost, or the command was ended by a signal


def launch(command: Sequence[str], workers: int, servers: int = 1, hosts: Sequence[str] = (), port: int = 0) -> int:
    """Run a command as several workers that train together, with their scheduler and servers on this machine.

    Parameters
    ----------
    command : sequence of str
        What each worker runs.
    workers : int
        Number of workers.
    servers : int
        Number of servers, which sum gradients.
    hosts : sequence of str
        Machines to run the workers on by ssh, in turn; none is this one.
    port : int
        Where the scheduler listens; 0 is any free port.

    Returns
    -------
    int
        0 when all are done, or 128 + N after signal N, when all workers have saved their state.

    Raises
    ------
    UserError, FailureError
        If a process fails, by its exit status; all others have been stopped then.
    """
    address = _own_address(hosts)
    variables = {
        "DMLC_PS_ROOT_URI": address,
        "DMLC_PS_ROOT_PORT": str(port or _free_port()),
        "DMLC_NUM_WORKER": str(workers),
        "DMLC_NUM_SERVER": str(servers),
    }
    variables["DMLC_NODE_HOST"] = address
    helpers = [_start([sys.executable, *_SERVE], variables, "scheduler")]
    helpers += [_start([sys.executable, *_SERVE], variables, "server") for _ in range(servers)]
    started = []
    try:
        started = _start_workers(command, variables, workers, hosts)
        return _Workers(started, helpers, hosts).watch()
    finally:
        _stop(started)
        for helper in helpers:  # which hear of no other signal
            helper.kill()
            helper.wait()


def _start_workers(command, variables, workers, hosts) -> List[subprocess.Popen]:
    if hosts:
        remote = {name: value for name, value in variables.items() if name != "DMLC_NODE_HOST"}  # each finds its own
        turns = [hosts[number % len(hosts)] for number in range(workers)]
        return [_start(_over_ssh(host, command, remote), {}, "worker", subprocess.PIPE) for host in turns]
    # On one machine, its cores are shared.
    variables = dict(variables, OMP_NUM_THREADS=threads_each(workers))
    return [_start(command, variables, "worker") for _ in range(workers)]


def _over_ssh(host: str, command: Sequence[str], variables: Dict[str, str]) -> List[str]:
    """Return what runs a command on another machine, in the same folder, and ends it when the connection ends."""
    words = ["env", *(f"{name}={value}" for name, value in variables.items()), "DMLC_ROLE=worker", *command]
    options = [word for option in _SSH_OPTIONS for word in ("-o", option)]
    return ["ssh", "-tt", *options, host, f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(words)}"]


class _Workers:
    """The processes of a training, until all are done, one fails or a signal comes."""

    def __init__(self, workers: List[subprocess.Popen], helpers: List[subprocess.Popen], hosts: Sequence[str]):
        self._workers, self._helpers, self._hosts = workers, helpers, hosts
        self._signals = StopSignals(self._pass_on, self._give_up)
        self._at_once = False
        self._since: Optional[float] = None

    def watch(self) -> int:
        with self._signals:
            while True:
                statuses = [worker.poll() for worker in self._workers]
                self._refuse_failures(statuses)
                if None not in statuses or self._hopeless(statuses):
                    number = self._signals.number
                    return 128 + number if number and (self._at_once or any(statuses)) else 0
                time.sleep(_POLL_SECONDS)

    def _hopeless(self, statuses: List[Optional[int]]) -> bool:
        """Tell whether, after a signal, those that are left wait for one that has ended; or a second signal came.

        Workers end together, all state saved; one that had not begun to train has ended alone.
        """
        if not self._signals.number or all(status is None for status in statuses):
            return self._at_once
        self._since = self._since or time.monotonic()
        return self._at_once or time.monotonic() - self._since > _STRAGGLER_SECONDS

    def _refuse_failures(self, statuses: List[Optional[int]]) -> None:
        fine = (0, *stopped_by(SIGNALS)) if self._signals.number else (0,)
        for number, status in enumerate(statuses):
            if status is not None and status not in fine:
                error = UserError if status == _USERS_TO_MEND else FailureError
                host = f", on {self._hosts[number % len(self._hosts)]}," if self._hosts else ""
                lost = " (killed, or there is no connection to that machine)" if host and status == _BY_SSH else ""
                raise error(
                    f"process {number + 1} of {len(statuses)}{host} ended with {end_of(status)}{lost}; the others were "
                    "stopped: what was saved last is where the same command goes on"
                )
        for helper in self._helpers:
            status = helper.poll()
            if status:
                raise FailureError(f"MXNet's scheduler or server ended with {end_of(status)}; the workers were stopped")

    def _give_up(self, number: int) -> None:
        self._at_once = True

    def _pass_on(self, number: int) -> None:
        for worker in self._workers:
            if worker.stdin:  # by ssh, where Ctrl-C goes through the terminal; a signal would just cut the connection
                with contextlib.suppress(OSError):  # of one that has ended
                    worker.stdin.write(_CTRL_C)
                    worker.stdin.flush()
            else:
                worker.send_signal(number)


def _start(command, variables: Dict[str, str], role: str, stdin=subprocess.DEVNULL) -> subprocess.Popen:
    environment = dict(os.environ, DMLC_ROLE=role, **variables)
    # In a session of its own: Ctrl-C goes to this process, which passes it on to the workers alone.
    options = {"env": environment, "stdin": stdin, "start_new_session": True}
    return subprocess.Popen(command, preexec_fn=_end_with_this_process, **options)  # noqa: PLW1509 - has one thread


def _end_with_this_process() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """End processes that have not ended yet; one that waits inside MXNet hears of no signal but SIGKILL.

    Workers on other machines end by themselves, since their scheduler is gone.
    """
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _own_address(hosts: Sequence[str]) -> str:
    """Return an address of this machine that the hosts can reach; without hosts, that of the machine to itself."""
    if not hosts:
        return "127.0.0.1"
    name = hosts[0].split("@")[-1]
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((name, 9))  # sends nothing: it chooses the route
            return probe.getsockname()[0]
    except OSError as error:
        raise UserError(f"--hosts {name}: no address of that name is known here ({error.strerror})") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
