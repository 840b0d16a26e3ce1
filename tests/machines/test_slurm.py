"""The Slurm script of docs/several-machines.md, run by a real controller and three node daemons."""

import re
import shlex
import subprocess
import time

import pytest
from conftest import ROOT
from hosts import PACKAGES, PROGRAMS, Hosts, require
from test_hosts import NAMES, differing
from worker_commands import command, settings

from gluon_madapt.files.json_files import read_log
from gluon_madapt.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.machines

DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch", "scancel", "scontrol", "srun")
ITERATIONS = 60
_CONF = """\
ClusterName=three
SlurmctldHost=a
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
KillWait=30
ReturnToService=2
NodeName={nodes} CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Slurm on three hosts; jobs are handed in on host a."""

    def __init__(self, hosts, folder):
        self._hosts, self.folder = hosts, folder
        (folder / "slurm.conf").write_text(_CONF.format(folder=folder, nodes=",".join(NAMES)))
        (folder / "munge.key").write_bytes(bytes(range(128)))
        (folder / "munge.key").chmod(0o400)
        for name in ("state", *(f"spool-{name}" for name in NAMES)):
            (folder / name).mkdir()
        self._started = []
        options = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={folder}/munge.{suffix}" for option, suffix in options.items()]
        self._start("a", ["munged", "--foreground", "--force", *files])
        self._start("a", ["slurmctld", "-D"])
        for name in NAMES:
            self._start(name, ["slurmd", "-D", "-N", name])
        self.until(lambda: self("sinfo", "-h", "-o", "%T %D").strip() == "idle 3", "three idle nodes")

    def _environment(self):
        return ["env", f"SLURM_CONF={self.folder}/slurm.conf", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]

    def _start(self, host, words):
        log = (self.folder / f"{words[0]}-{host}.out").open("ab")
        self._started.append(self._hosts.popen(host, [*self._environment(), *words], stdout=log, stderr=log))

    def __call__(self, *words):
        command = [*self._hosts.at("a"), *self._environment(), *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.stdout + done.stderr

    def submit(self, script):
        path = self.folder / "script"
        path.write_text(script)
        said = self("sbatch", "--parsable", f"--chdir={self.folder}", str(path))
        assert said.strip().isdigit(), said
        return said.strip()

    def wait(self, job, state="COMPLETED"):
        self.until(lambda: self.state(job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"), job, 240)
        assert self.state(job) == state, self.output(job)

    def state(self, job):
        return re.search(r"JobState=(\w+)", self("scontrol", "show", "job", job)).group(1)

    def output(self, job):
        return (self.folder / f"slurm-{job}.out").read_text()

    def until(self, ready, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not ready():
            outputs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.out"))
            assert time.monotonic() < deadline, f"{what}: not after {seconds} s: {outputs}"
            time.sleep(0.2)

    def stop(self):
        for process in self._started:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    require((*PROGRAMS, *DAEMONS), f"{PACKAGES} slurm-wlm munge")
    with Hosts(tmp_path_factory.mktemp("hosts"), NAMES) as hosts:
        cluster = Cluster(hosts, tmp_path_factory.mktemp("slurm"))
        yield cluster
        cluster.stop()


def documented_script(words, folder):
    """Return the script of the page for a machine without a GPU, with another command, which lies in a folder."""
    tool = folder / "train.sh"
    tool.write_text(f"export OMP_NUM_THREADS=1\nexec {shlex.join(words)}\n")
    page = (ROOT / "docs" / "several-machines.md").read_text()
    (script,) = re.findall(r"```\n(#!/bin/bash\n#SBATCH.*?)```", page, re.DOTALL)
    for found, instead in (
        (".venv/bin/python tools/train_source.py --config FILE", f"bash {tool}"),
        ("--nodes=4 --ntasks=6", "--nodes=3 --ntasks=5"),
        (" --gpus-per-node=1", ""),
    ):
        assert found in script
        script = script.replace(found, instead)
    return script


def training(world, folder):
    return documented_script(command("source", folder, settings(world, ITERATIONS, batch_size=2)), folder)


@pytest.fixture(scope="module")
def undisturbed(cluster, tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = cluster.submit(training(tiny_world, folder))
    cluster.wait(job)
    return folder


def begun(cluster, folder):
    """Wait until a training is at work."""
    log = folder / "source" / "log.jsonl"
    cluster.until(lambda: log.exists() and len(read_log(log)) > 6, "a training at work", 120)


def done(folder):
    return read_checkpoint(folder / "source" / "checkpoint.npz").meta["iteration"]


def test_scancel_saves_and_the_same_script_goes_on(cluster, tiny_world, tmp_path, undisturbed):
    script = training(tiny_world, tmp_path)
    job = cluster.submit(script)
    begun(cluster, tmp_path)
    cluster("scancel", job)
    cluster.wait(job, "CANCELLED")
    cluster.until(lambda: "saved after iteration" in cluster.output(job), "what was saved", 40)
    assert f"stopped by signal 15; saved after iteration {done(tmp_path)}" in cluster.output(job)
    assert 0 < done(tmp_path) < ITERATIONS
    assert done(tmp_path) == len(read_log(tmp_path / "source" / "log.jsonl"))
    job = cluster.submit(script)
    cluster.wait(job)
    assert "continues after iteration" in cluster.output(job)
    assert differing(tmp_path, undisturbed) == []


def test_a_job_that_is_put_back_in_the_queue_goes_on(cluster, tiny_world, tmp_path, undisturbed):
    job = cluster.submit(training(tiny_world, tmp_path))
    begun(cluster, tmp_path)
    cluster("scontrol", "requeue", job)
    cluster.wait(job)
    assert "Restarts=1" in cluster("scontrol", "show", "job", job)
    assert "continues after iteration" in cluster.output(job)
    assert done(tmp_path) == ITERATIONS
    assert differing(tmp_path, undisturbed) == []


def test_when_a_worker_fails_the_job_fails_and_no_process_is_left(cluster, tiny_world, tmp_path):
    words = command("source", tmp_path, [*settings(tiny_world, batch_size=2), "data.source.root=nowhere"])
    job = cluster.submit(documented_script(words, tmp_path))
    cluster.wait(job, "FAILED")
    assert "error: nowhere: no such folder" in cluster.output(job)
    cluster.until(lambda: cluster("squeue", "-h").strip() == "", "an empty queue")
