"""Several workers, for real: MXNet's scheduler, server and workers as processes on this machine."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from small_experiments import CONFIG
from worker_commands import ITERATIONS, PYTHON, command, ended, launched, run
from worker_commands import settings as worker_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.files.json_files import read_log
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.run import Run
from gluon_madapt.stages import train_source
from gluon_madapt.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

# Stage 4 learns from both domains, by proxies of the source model.
BOTH = ["proxies.model=trained", "proxies.p1=1", "retrain.learns_from=source_and_proxies"]


def settings(world, iterations=None, **changes):
    return [*worker_settings(world, iterations, **changes), *BOTH]


@pytest.fixture(scope="module")
def both(tiny_world, tmp_path_factory):
    """Every training by two workers, and by one with the doubled batch, with fixed statistics."""
    folder = tmp_path_factory.mktemp("workers")
    for stage in TRAININGS:
        start = [] if stage == "source" else ["--from", str(folder / "one" / "source" / "checkpoint.npz")]
        for name in ("one", "two") if stage == "retrain" else ():
            run([*command("proxies", folder / name, settings(tiny_world)), *start])
        run(launched([*command(stage, folder / "two", settings(tiny_world, batch_size=2), fixed=True), *start]))
        run([*command(stage, folder / "one", settings(tiny_world, batch_size=4), fixed=True), *start])
    return folder


@pytest.mark.parametrize("stage", TRAININGS)
def test_two_workers_learn_what_one_with_the_doubled_batch_does(both, stage):
    two, one = (read_checkpoint(both / name / stage / "checkpoint.npz") for name in ("two", "one"))
    assert two.meta["iteration"] == one.meta["iteration"] == ITERATIONS[stage]
    networks = [key for key in one.arrays if not key.startswith("optimizer/")]
    for key in networks:
        np.testing.assert_allclose(two.arrays[key], one.arrays[key], rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("stage", TRAININGS)
def test_the_log_has_every_iteration_once_and_the_losses_of_the_whole_batch(both, stage):
    two, one = (read_log(both / name / stage / "log.jsonl") for name in ("two", "one"))
    assert [entry["iteration"] for entry in two] == list(range(1, ITERATIONS[stage] + 1))
    for entry, other in zip(two, one):
        # The share of the adversary is of the first worker's images alone.
        for key in set(other) - {"images_per_second", "waiting_for_data", "adversary_share"}:
            assert entry[key] == pytest.approx(other[key], rel=1e-4), key


def test_one_worker_alone_does_not_go_on_with_what_two_began(both, tiny_world):
    words = command("source", both / "two", settings(tiny_world, batch_size=2))
    done = ended(words)
    assert done.returncode == 2
    assert "made from.workers was 2, now 1" in done.stderr


@pytest.fixture
def own_world(tiny_world, tmp_path):
    return shutil.copytree(tiny_world, tmp_path / "world")


@pytest.fixture
def endless(own_world, tmp_path):
    """A training by two workers that goes on until it is stopped, and is at work."""
    words = launched(command("source", tmp_path, settings(own_world, 100000, batch_size=2)))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        log = tmp_path / "source" / "log.jsonl"
        while not (log.exists() and len(read_log(log)) > 6) and process.poll() is None:
            time.sleep(0.1)
        yield process
        process.kill()


def workers_of(launcher):
    """Return the processes that a launcher has started as workers."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    environments = {int(child): Path(f"/proc/{child}/environ").read_bytes() for child in children}
    return [child for child, environment in environments.items() if b"DMLC_ROLE=worker\0" in environment]


def test_when_a_worker_is_killed_all_stop_and_the_saved_state_remains(endless, tmp_path):
    first, second = workers_of(endless)
    os.kill(second, signal.SIGKILL)
    _, errors = endless.communicate(timeout=60)
    assert endless.returncode == 1
    assert "ended with signal 9; the others were stopped" in errors
    assert not Path(f"/proc/{first}").exists()
    assert read_checkpoint(tmp_path / "source" / "checkpoint.npz").meta["iteration"] % 5 == 0


def test_sigterm_has_all_workers_save_and_stop_after_the_same_iteration(endless, tmp_path):
    endless.send_signal(signal.SIGTERM)
    _, errors = endless.communicate(timeout=60)
    assert endless.returncode == 143, errors
    done = read_checkpoint(tmp_path / "source" / "checkpoint.npz").meta["iteration"]
    assert f"saved after iteration {done}" in errors


def test_when_a_worker_cannot_read_a_file_all_save_what_came_after_the_last_checkpoint(endless, own_world, tmp_path):
    image = sorted((own_world / "gta5" / "images").glob("*.png"))[0]
    image.write_bytes(b"")
    _, errors = endless.communicate(timeout=60)
    assert endless.returncode == 2
    assert f"error: {image}" in errors
    done = read_checkpoint(tmp_path / "source" / "checkpoint.npz").meta["iteration"]
    assert f"source: saved after iteration {done}" in errors
    assert [entry["iteration"] for entry in read_log(tmp_path / "source" / "log.jsonl")] == list(range(1, done + 1))


def test_a_training_goes_on_where_it_was_stopped(tiny_world, tmp_path):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    half = settings(tiny_world, batch_size=2)
    run(launched(command("source", straight, half)))
    code = (
        "import os, runpy, signal, sys\n"
        "from gluon_madapt.training.loop import Loop\n"
        "record = Loop.record\n"
        "def stopping(self, rate, losses):\n"
        "    record(self, rate, losses)\n"
        "    late = rate < 0.6e-4 and self._distributed.is_main\n"
        "    if late and not self._signals.number: os.kill(os.getpid(), signal.SIGTERM)\n"
        "Loop.record = stopping\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    words = launched([PYTHON, "-c", code, *command("source", stopped, half)[1:]])
    done = ended(words)
    assert "stopped by signal 15; saved after iteration" in done.stderr, "one worker's signal stops them all"
    run(launched(command("source", stopped, half)))
    one, two = (read_checkpoint(folder / "source" / "checkpoint.npz").arrays for folder in (straight, stopped))
    assert [key for key in one if one[key].tobytes() != two[key].tobytes()] == []


def test_what_a_worker_has_to_say_is_shown(tiny_world, tmp_path):
    words = launched(command("source", tmp_path, [*settings(tiny_world), "data.source.root=nowhere"]))
    done = ended(words)
    assert done.returncode == 2
    assert "error: nowhere: no such folder" in done.stderr
    assert "ended with exit status 2; the others were stopped" in done.stderr


def test_broken_samples_are_counted_over_all_workers(own_world, tmp_path):
    for path in sorted((own_world / "gta5" / "images").glob("*.png"))[1:]:
        path.write_bytes(b"")
    overrides = [*settings(own_world, 6, batch_size=2), "data.on_error=skip"]
    run(launched(command("source", tmp_path / "two", overrides)))
    run(command("source", tmp_path / "one", [*overrides, "source.batch_size=4"]))
    two, one = (json.loads((tmp_path / name / "source" / "metrics.json").read_text()) for name in ("two", "one"))
    elsewhere = two["replaced_by_other_workers"]
    assert elsewhere > 0
    assert sum(two["replaced"].values()) + elsewhere == sum(one["replaced"].values())


def test_over_ssh_the_workers_get_the_variables_and_the_folder(tiny_world, tmp_path):
    """With a stand-in for ssh that runs the command here."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" >>"$SSH_LOG"\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    log = tmp_path / "ssh.log"
    words = command("source", tmp_path / "run", settings(tiny_world, 3, batch_size=2))
    words = launched(words, hosts=("127.0.0.1", "localhost"))
    environment = dict(os.environ, PATH=f"{ssh.parent}:{os.environ['PATH']}", SSH_LOG=str(log))
    done = ended(words, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    for host, line in zip(("127.0.0.1", "localhost"), sorted(lines)):
        assert f"{host} cd {tmp_path} && exec env DMLC_PS_ROOT_URI=" in line
        assert "DMLC_ROLE=worker" in line
    assert read_checkpoint(tmp_path / "run" / "source" / "checkpoint.npz").meta["iteration"] == 3


def test_what_is_not_divided_over_workers_refuses_to_run_as_one(tiny_world, tmp_path, monkeypatch):
    train_source(Run(load_experiment(CONFIG, settings(tiny_world, 1)), tmp_path))
    monkeypatch.setenv("DMLC_ROLE", "worker")
    monkeypatch.setenv("DMLC_NUM_WORKER", "2")
    for tool, hint in (("eval.py", "score in a process of its own"), ("make_proxy.py", "--shard I/N")):
        words = [PYTHON, str(ROOT / "tools" / tool), "--config", str(CONFIG), "--run-dir", str(tmp_path)]
        done = ended(words)
        assert done.returncode == 2
        assert hint in done.stderr
