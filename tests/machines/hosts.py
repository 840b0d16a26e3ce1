"""Several hosts on one machine: each with a host name, network interfaces, processes and an sshd of its own.

They share the file system.  Namespaces of Linux do that, for root; everything is gone when the processes are.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAMS = ("ip", "tc", "unshare", "nsenter", "sshd", "ssh-keygen")
PACKAGES = "iproute2 util-linux openssh-server openssh-client"
_SBIN = "/usr/sbin:/sbin"
_PR_SET_PDEATHSIG = 1

_SSHD = """\
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
PidFile none
"""
_SSH = """\
Host *
  IdentityFile {folder}/key
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


def require(programs, packages):
    """Skip where this machine has not what hosts need."""
    if os.geteuid() != 0:
        pytest.skip("namespaces of the network need root")
    missing = [name for name in programs if not shutil.which(name, path=f"{os.environ['PATH']}:{_SBIN}")]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}: install {packages}")


class Hosts:
    """Hosts on a bridge, for a ``with`` block.

    Parameters
    ----------
    folder : Path
        Where their keys lie.
    names : sequence of str
        Their host names; addresses are 10.77.0.1 and so on.
    wires : dict of str to tuple, optional
        By host, the seconds that a frame takes each way, and the share of them that is lost, on a slow wire.
    """

    def __init__(self, folder, names=("a", "b", "c"), wires=None):
        self.folder, self.names, self._wires = Path(folder), list(names), wires or {}
        self._started, self._inits = [], {}

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        for name in ("key", "host_key"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        etc = self.folder / "etc"
        etc.mkdir()
        (etc / "sshd_config").write_text(_SSHD.format(folder=self.folder))
        (etc / "ssh_config").write_text(_SSH.format(folder=self.folder))
        lines = [f"10.77.0.{number} {name}" for number, name in enumerate(self.names, start=1)]
        (self.folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        try:
            self._inits["hub"] = self._init("hub", "exec sleep infinity")
            self.configure("hub", "ip link add bridge type bridge", "ip link set bridge up")
            for name in self.names:
                self.start_host(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        for process in self._started:
            process.kill()
            process.wait()

    def start_host(self, name):
        """Start a host, for the first time or after it was cut off."""
        mounts = f"mount --bind {self.folder}/hosts /etc/hosts && mount --bind {self.folder}/etc /etc/ssh"
        self._inits[name] = self._init(name, f"hostname {name} && {mounts} && exec /usr/sbin/sshd -D -e")
        if name in self._wires:
            self._lay_wire(name)
        else:
            self.configure("hub", f"ip link add port-{name} type veth peer name eth0 netns {self._inits[name]}")
        self.configure("hub", f"ip link set port-{name} master bridge up")
        number = self.names.index(name) + 1  # the address of the hardware stays, as others remember it
        interface = (
            f"ip link set eth0 address 02:00:00:00:00:{number:02x}",
            f"ip addr add 10.77.0.{number}/24 dev eth0",
        )
        self.configure(name, "ip link set lo up", *interface, "ip link set eth0 up")
        self._wait_for_sshd(name)

    def configure(self, name, *commands):
        for command in commands:
            subprocess.run([*self._network(name), *command.split()], check=True)

    def at(self, name):
        """Return what, before the words of a command, runs it on a host."""
        return ["nsenter", "--target", str(self._inits[name]), "--net", "--uts", "--mount", "--pid", "--"]

    def _network(self, name):
        return ["nsenter", "--target", str(self._inits[name]), "--net", "--"]

    def popen(self, name, words, **options):
        return subprocess.Popen([*self.at(name), *words], **options)

    def cut(self, name):
        """Take down the link of a host."""
        self.configure("hub", f"ip link set port-{name} down")

    def mend(self, name):
        self.configure("hub", f"ip link set port-{name} up")

    def power_off(self, name):
        """End all processes of a host at once, sshd among them."""
        os.kill(self._inits[name], signal.SIGKILL)

    def limit(self, name, rate):
        """Let a host send and receive at a rate, as tc writes it, at most."""
        shape = "root tbf burst 256kbit latency 100ms rate"
        self.configure(name, f"tc qdisc add dev eth0 {shape} {rate}")
        self.configure("hub", f"tc qdisc add dev port-{name} {shape} {rate}")

    def bytes_through(self, name):
        """Return how many bytes a host has received and sent so far."""
        words = [*self._network(name), "ip", "-s", "-j", "link", "show", "eth0"]
        (link,) = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        return link["stats64"]["rx"]["bytes"], link["stats64"]["tx"]["bytes"]

    def _init(self, name, script):
        options = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        log = (self.folder / f"{name}.log").open("ab")
        process = self._start(["unshare", *options, "sh", "-c", script], stderr=log, stdout=log)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return int(_until(lambda: children.read_text().split(), "the first process of a host")[0])

    def _start(self, words, **options):
        process = subprocess.Popen(words, preexec_fn=_end_with_this_process, **options)  # noqa: PLW1509 - one thread
        self._started.append(process)
        return process

    def _lay_wire(self, name):
        delay, loss = self._wires[name]
        script = str(Path(__file__).with_name("wire.py"))
        words = [sys.executable, script, str(self._inits[name]), str(self._inits["hub"]), f"port-{name}"]
        process = self._start([*words, str(delay), str(loss)], stdout=subprocess.PIPE)
        process.stdout.readline()  # the interfaces are there

    def _wait_for_sshd(self, name):
        words = [*self.at(name), "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", name, "true"]
        _until(lambda: subprocess.run(words, check=False).returncode == 0, f"sshd of {name}")


def _until(ready, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while True:
        result = ready()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not there after {seconds} s")
        time.sleep(0.05)


def _end_with_this_process():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
