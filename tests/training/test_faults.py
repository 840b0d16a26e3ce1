"""Trainings that are killed at any moment, and long ones: minutes each, so they are marked slow."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from interrupted import assert_same
from self_signal import signals_itself
from small_experiments import CONFIG, run_stages, small_settings

from gluon_madapt.files.json_files import read_log
from gluon_madapt.run_layout import STAGE_TOOLS
from gluon_madapt.stages import make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.loop import Loop

pytestmark = pytest.mark.slow

TRAININGS = ("source", "adversarial", "retrain")
BEFORE = {"source": (), "adversarial": ("source",), "proxies": ("source", "adversarial")}
BEFORE["retrain"] = (*BEFORE["proxies"], "proxies")
FUNCTIONS = {"source": train_source, "adversarial": train_adversarial, "proxies": make_proxies, "retrain": retrain}
KILLS, ITERATIONS = 20, 80


def command(stage, folder, settings):
    words = [word for one in settings for word in ("--set", one)]
    tool = str(ROOT / "tools" / STAGE_TOOLS[stage])
    return [sys.executable, tool, "--config", str(CONFIG), "--run-dir", str(folder), *words]


def finish(words, threads=1):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=1200, env=environment)
    assert done.returncode == 0, done.stderr


def linked(folder, stage, target):
    """Give a new run folder the finished stages that come before one."""
    target.mkdir()
    for before in BEFORE[stage]:
        (target / before).symlink_to(folder / before)
    return target


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from gluon_madapt.miniworld import make_miniworld

    out = tmp_path_factory.mktemp("faults") / "world"
    make_miniworld(out, seed=3, gta5=12, synthia=1, train=24, val=2)
    return out


@pytest.fixture(scope="module")
def before(world, tmp_path_factory):
    """All stages, short."""
    folder = tmp_path_factory.mktemp("before")
    run_stages(world, folder, train_source, train_adversarial, make_proxies)
    return folder


def settings(world, iterations):
    return [*small_settings(world, iterations), "bookkeeping={log_every: 1, eval_every: 0, checkpoint_every: 3}"]


@pytest.mark.parametrize("stage", [*TRAININGS, "proxies"])
def test_kill_9_at_random_moments(stage, world, before, tmp_path, record_property):
    short = [*settings(world, 1), *(f"{one}.iterations=1" for one in TRAININGS if one != stage)]
    words = short + [f"{stage}.iterations={ITERATIONS}"] if stage in TRAININGS else short
    straight, killed = (linked(before, stage, tmp_path / name) for name in ("straight", "killed"))
    began = time.monotonic()
    finish(command(stage, straight, words))
    whole = time.monotonic() - began
    rng = np.random.default_rng(0)
    kills = 0
    while kills < KILLS:
        process = subprocess.Popen(command(stage, killed, words), stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.2 * whole, 0.7 * whole))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:  # it got to the end: from the start again, beside what is there
            assert process.returncode == 0
            compare(stage, straight, killed)
            killed = linked(before, stage, tmp_path / f"killed-{len(list(tmp_path.iterdir()))}")
    finish(command(stage, killed, words))
    compare(stage, straight, killed)
    record_property("seconds_straight", round(whole, 1))


def compare(stage, straight, killed):
    one, two = straight / stage, killed / stage
    if stage in TRAININGS:
        assert_same(one / "checkpoint.npz", two / "checkpoint.npz")
        assert [entry["iteration"] for entry in read_log(two / "log.jsonl")] == list(range(1, ITERATIONS + 1))
        return
    names = sorted(path.relative_to(one) for path in (one / "labels").rglob("*.png"))
    assert names
    for name in (*names, "metrics.json", "proxies.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("stage", TRAININGS)
def test_resnet101_ends_with_the_same_model(stage, threads, world, tmp_path):
    size = "{size: [128, 96], short_side: null, crop: null}"
    words = [
        *settings(world, 6),
        "model.encoder=resnet101",
        *(f"{key}={size}" for key in ("source.input", "adversarial.source_input", "adversarial.target_input")),
        *(f"{one}.iterations=1" for one in TRAININGS if one != stage),
        "retrain.init=source",
    ]
    start = tmp_path / "start"
    for one in BEFORE[stage]:
        finish(command(one, start, words), threads)
    straight, killed = (linked(start, stage, tmp_path / name) for name in ("straight", "killed"))
    finish(command(stage, straight, words), threads)
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    for iterations in (5, 1, 2):  # after the first checkpoint, before the second, before it again
        process = signals_itself(command(stage, killed, words), signal.SIGKILL, Loop.record, iterations)
        assert subprocess.run(process, check=False, env=environment, capture_output=True).returncode == -signal.SIGKILL
    finish(command(stage, killed, words), threads)
    assert_same(straight / stage / "checkpoint.npz", killed / stage / "checkpoint.npz")


@pytest.mark.parametrize("stage", TRAININGS)
def test_a_long_training_grows_neither_in_memory_nor_in_open_files(stage, world, before, tmp_path, record_property):
    iterations, settled = 2000, 200
    folder = linked(before, stage, tmp_path / "soak")
    words = [*small_settings(world, 1), *(f"{one}.iterations=1" for one in TRAININGS if one != stage)]
    words += [f"{stage}.iterations={iterations}", "bookkeeping={log_every: 10, eval_every: 0, checkpoint_every: 100}"]
    log, seen = folder / stage / "log.jsonl", []
    with subprocess.Popen(command(stage, folder, words), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            entries = read_log(log)
            if entries and entries[-1]["iteration"] >= settled:
                seen.append((entries[-1]["iteration"], *usage(process.pid)))
            time.sleep(0.5)
    assert process.returncode == 0
    seen = [one for one in seen if one[1]]
    first, last = seen[0], seen[-1]
    growth = last[1] / first[1] - 1
    text = f"{first[1] / 1e6:.0f} MB at iteration {first[0]}, {last[1] / 1e6:.0f} MB at {last[0]} ({growth:+.2%})"
    record_property("memory", text)
    print(f"\n{stage}: {text}; open files {sorted({one[2] for one in seen})}")
    assert last[0] > 0.9 * iterations
    assert growth < 0.02
    # A checkpoint or the log may be open at the moment that is looked at.
    assert max(one[2] for one in seen) - min(one[2] for one in seen) <= 3


def usage(process):
    """Return the resident memory of a process, in bytes, and the number of its open files; zeros when it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{process}/fd").iterdir()))
    except (OSError, IndexError):
        return 0, 0
