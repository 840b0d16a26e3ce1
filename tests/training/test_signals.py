"""Whatever way a signal comes, what runs saves its state, once, and then ends."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.system import stopping
from gluon_madapt.system.stopping import StopSignals
from gluon_madapt.training.checkpoint import read_checkpoint

PYTHON = sys.executable

# Saves at the first signal, which takes a while; any other one in the meantime, even of another kind, finds it unsaved.
JOB = """
import pathlib, signal, sys, time
def save(number, frame):
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(other, signal.SIG_DFL)
    time.sleep(0.7)
    pathlib.Path(sys.argv[1] + ".saved").touch()
    sys.exit(128 + number)
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(one, save)
pathlib.Path(sys.argv[1] + ".there").touch()
while True: time.sleep(0.05)
"""
STUBBORN = """
import pathlib, signal, sys, time
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(one, signal.SIG_IGN)
pathlib.Path(sys.argv[1] + ".there").touch()
time.sleep(600)
"""
PARENT = """
import sys
from pathlib import Path
from gluon_madapt.cli.command import run_tool
from gluon_madapt.reproduction.jobs import Job, run_jobs
def main(arguments):
    jobs = [Job(one, (sys.executable, "-c", arguments[0], one), Path(one + ".log")) for one in ("a", "b")]
    run_jobs([*jobs, Job("never", ("false",), Path("never.log"), ("a",))], 2, lambda job: None)
run_tool(main)
"""


def wait_for(found, seconds=60):
    """Wait until something is there."""
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path):
    """A function that starts two jobs side by side, and returns the process that has started them."""
    processes = []

    def start(job=JOB):
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        command = [PYTHON, "-c", PARENT, job]
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **options))
        wait_for(lambda: all((tmp_path / f"{one}.there").exists() for one in "ab"))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("send", "signals", "status"),
    [
        (os.kill, [signal.SIGINT], 130),
        pytest.param(os.killpg, [signal.SIGINT], 130, marks=pytest.mark.slow),
        (os.killpg, [signal.SIGTERM], 143),
        pytest.param(os.kill, [signal.SIGTERM], 143, marks=pytest.mark.slow),
        (os.kill, [signal.SIGHUP], 129),
        pytest.param(os.killpg, [signal.SIGHUP, signal.SIGCONT], 129, marks=pytest.mark.slow),
        pytest.param(os.killpg, [signal.SIGINT, signal.SIGINT], 130, marks=pytest.mark.slow),
        pytest.param(os.killpg, [signal.SIGTERM, signal.SIGHUP], 143, marks=pytest.mark.slow),
        (os.killpg, [signal.SIGINT, signal.SIGTERM, signal.SIGTERM], 130),
        (os.kill, [signal.SIGKILL], -9),
    ],
    ids=lambda value: "-".join(one.name for one in value) if isinstance(value, list) else None,
)
def test_all_jobs_save_and_no_other_is_started(started, tmp_path, send, signals, status):
    process = started()
    for number in signals:
        send(process.pid, number)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    wait_for(lambda: all((tmp_path / f"{one}.saved").exists() for one in "ab"), seconds=10)
    assert not (tmp_path / "never.log").exists()
    assert "Traceback" not in errors
    if status > 0:
        assert "stopping: waits until what is running has saved its state; once more ends it at once" in errors


def test_when_one_job_is_stopped_the_others_save_too(started, tmp_path):
    process = started()
    os.kill(child_of(process), signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "exit status 143" in errors
    assert all((tmp_path / f"{one}.saved").exists() for one in "ab")


def test_jobs_that_do_not_stop_are_killed_when_asked_again(started, monkeypatch):
    process = started(STUBBORN)
    children = [child_of(process, place) for place in (0, 1)]
    os.kill(process.pid, signal.SIGINT)
    time.sleep(stopping.SAME_SECONDS + 0.2)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def child_of(process, place=0):
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[place])


def test_a_signal_counts_again_only_when_it_is_the_same_and_comes_later(monkeypatch):
    now, stopped, ended = [100.0], [], []
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    with StopSignals(stopped.append, ended.append) as signals:
        for seconds, number in ((0, signal.SIGINT), (0.5, signal.SIGINT), (5, signal.SIGTERM)):
            now[0] = 100.0 + seconds
            signal.raise_signal(number)
        assert (stopped, ended, signals.number) == ([signal.SIGINT], [], signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert ended == [signal.SIGINT]


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_what_it_was_started_to_ignore_it_ignores_and_handlers_come_back(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals(pytest.fail, pytest.fail):
            signal.raise_signal(number)
            assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)
    with StopSignals(pytest.fail, pytest.fail):
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def endless(world):
    words = [*small_settings(world, 100000), "bookkeeping.checkpoint_every=100000"]
    return [word for one in words for word in ("--set", one)]


def training(world, folder, *before, **options):
    tool = [PYTHON, str(ROOT / "tools" / "train_source.py"), "--config", str(CONFIG), "--run-dir", str(folder)]
    process = subprocess.Popen([*before, *tool, *endless(world)], start_new_session=True, **options)
    log = folder / "source" / "log.jsonl"
    wait_for(lambda: (log.exists() and log.stat().st_size) or process.poll() is not None)
    return process


def saved(folder):
    return read_checkpoint(folder / "source" / "checkpoint.npz").meta["iteration"]


def test_timeout_signals_a_training_twice_and_it_saves(tiny_world, tmp_path):
    process = training(tiny_world, tmp_path, "timeout", "600", stderr=subprocess.PIPE, text=True)
    os.kill(process.pid, signal.SIGTERM)  # which it sends on to the training, and to the group
    _, errors = process.communicate(timeout=60)
    assert f"saved after iteration {saved(tmp_path)}" in errors


def test_a_training_whose_terminal_is_closed_saves(tiny_world, tmp_path):
    ours, terminal = pty.openpty()
    process = training(tiny_world, tmp_path, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    os.close(ours)
    os.kill(process.pid, signal.SIGHUP)
    assert process.wait(60) == 129
    assert saved(tmp_path) >= 1


@pytest.mark.slow
def test_ctrl_c_during_the_demo_saves_the_training(tmp_path):
    experiment = load_experiment(CONFIG, endless("drawn-by-the-demo")[1::2])
    (tmp_path / "tiny.yaml").write_text(experiment.to_yaml())
    command = [PYTHON, str(ROOT / "tools" / "demo.py"), "--config", "tiny.yaml", "--data", "world"]
    command += ["--world", "6,0,3,2"]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen(command, cwd=tmp_path, **options)
    log = tmp_path / "runs" / "demo" / "seed-1" / "source" / "log.jsonl"
    wait_for(lambda: (log.exists() and log.stat().st_size) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"saved after iteration {saved(log.parents[1])}" in errors
