"""A training that is stopped and continued ends with the same model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from interrupted import assert_same, interrupted_in_iteration_4
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.system import stopping
from gluon_madapt.system.stopping import StopSignals
from gluon_madapt.training.checkpoint import read_checkpoint
from gluon_madapt.training.loop import Loop

STAGES = {"source": train_source, "adversarial": train_adversarial, "retrain": retrain}


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    """A run folder in which all stages were run straight through."""
    folder = tmp_path_factory.mktemp("straight")
    experiment = small_experiment(tiny_world, iterations=5)
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(experiment, folder))
    return folder, experiment


@pytest.mark.parametrize("then", ["as before", "with activations computed twice"])
@pytest.mark.parametrize("stage", sorted(STAGES))
def test_continuing_from_a_checkpoint_ends_bitwise_the_same(finished, stage, then, tiny_world, tmp_path):
    folder, experiment = finished
    for before in ("source", "adversarial", "proxies"):
        if before != stage:
            (tmp_path / before).symlink_to(folder / before)
    with interrupted_in_iteration_4():
        STAGES[stage](Run(experiment, tmp_path))
    path = tmp_path / stage / "checkpoint.npz"
    assert read_checkpoint(path).meta["iteration"] == 2
    if then != "as before":
        experiment = small_experiment(tiny_world, *(f"{name}.recompute=true" for name in STAGES), iterations=5)
    STAGES[stage](Run(experiment, tmp_path))
    assert_same(path, folder / stage / "checkpoint.npz")
    assert iterations_logged(tmp_path / stage) == [1, 2, 3, 4, 5]


def iterations_logged(folder):
    return [json.loads(line)["iteration"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_log_is_that_of_a_straight_run_also_between_its_lines(finished, tiny_world, tmp_path):
    folder, _ = finished
    logs = []
    for name in ("straight", "stopped"):
        rare = small_experiment(
            tiny_world, "bookkeeping={log_every: 5, eval_every: 0, checkpoint_every: 2}", iterations=5
        )
        if name == "stopped":
            with interrupted_in_iteration_4():
                train_source(Run(rare, tmp_path / name))
        train_source(Run(rare, tmp_path / name))
        entries = [json.loads(line) for line in (tmp_path / name / "source" / "log.jsonl").read_text().splitlines()]
        logs.append([(entry["iteration"], entry["segmentation"]) for entry in entries])
    assert logs[0] == logs[1]


def test_without_a_checkpoint_the_log_begins_anew(tiny_world, tmp_path):
    experiment = small_experiment(tiny_world, "bookkeeping.checkpoint_every=100", iterations=5)
    with interrupted_in_iteration_4():
        train_source(Run(experiment, tmp_path))
    train_source(Run(experiment, tmp_path))
    assert iterations_logged(tmp_path / "source") == [1, 2, 3, 4, 5]


def test_an_unfinished_stage_is_no_start_for_the_next(finished, tmp_path):
    _, experiment = finished
    with interrupted_in_iteration_4():
        train_source(Run(experiment, tmp_path))
    with pytest.raises(UserError, match=r"stopped after iteration 2 of 5: go on with python tools/train_source\.py"):
        train_adversarial(Run(experiment, tmp_path))


def test_what_a_killed_process_did_not_leave_is_made_up_for(finished, tmp_path):
    folder, experiment = finished
    shutil.copytree(folder / "source", tmp_path / "source")
    for name in ("segmenter.params", "metrics.json"):
        (tmp_path / "source" / name).unlink()
    train_source(Run(experiment, tmp_path))
    for name in ("segmenter.params", "metrics.json"):
        assert (tmp_path / "source" / name).exists()


def test_a_stage_made_from_something_else_is_not_continued(finished, tiny_world, tmp_path):
    folder, experiment = finished
    for stage in ("source", "proxies", "retrain"):
        shutil.copytree(folder / stage, tmp_path / stage)
    retrain(Run(experiment, tmp_path))
    inputs = tmp_path / "retrain" / "inputs.json"
    inputs.write_text(inputs.read_text().replace('"proxies": "', '"proxies": "0'))
    with pytest.raises(UserError, match=r"made from\.proxies was .*--fresh"):
        retrain(Run(experiment, tmp_path))


def test_a_finished_stage_is_not_trained_again(finished):
    folder, experiment = finished
    before = (folder / "source" / "checkpoint.npz").read_bytes()
    train_source(Run(experiment, folder))
    assert (folder / "source" / "checkpoint.npz").read_bytes() == before


def test_what_a_stage_leaves(finished):
    folder, _ = finished
    for stage in STAGES:
        assert {path.name for path in (folder / stage).iterdir()} == {
            "config.yaml",
            "checkpoint.npz",
            "checkpoint.previous.npz",
            "inputs.json",
            "log.jsonl",
            "metrics.json",
            "segmenter.params",
            "segmenter.params.sha256",
        }
        lines = [json.loads(line) for line in (folder / stage / "log.jsonl").read_text().splitlines()]
        assert iterations_logged(folder / stage) == [1, 2, 3, 4, 5]
        assert all(np.isfinite(line["segmentation"]) for line in lines)
    assert "adversarial_D2" in json.loads((folder / "adversarial" / "log.jsonl").read_text().splitlines()[0])
    metrics = json.loads((folder / "proxies" / "metrics.json").read_text())
    assert len(list((folder / "proxies" / "labels").rglob("*.png"))) == metrics["images"] == 4


def test_poly_schedule(finished):
    folder, experiment = finished
    rates = [json.loads(line)["learning_rate"] for line in (folder / "source" / "log.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(rates, [experiment.source.learning_rate * (1 - i / 5) ** 0.9 for i in range(5)])
    rates = {json.loads(line)["learning_rate"] for line in (folder / "adversarial" / "log.jsonl").open()}
    assert rates == {experiment.adversarial.learning_rate}


def test_other_settings_are_refused_and_named(finished, tiny_world):
    folder, _ = finished
    changed = small_experiment(tiny_world, "source.momentum=0.5", iterations=5)
    with pytest.raises(UserError, match=r"source\.momentum was 0\.9, now 0\.5.*--fresh"):
        train_source(Run(changed, folder))
    other_stage = small_experiment(tiny_world, "retrain.momentum=0.5", iterations=5)
    train_source(Run(other_stage, folder))


def test_settings_that_an_older_version_did_not_know_count_as_their_defaults(finished, tiny_world, tmp_path):
    folder, experiment = finished
    shutil.copytree(folder / "source", tmp_path / "source")
    config = tmp_path / "source" / "config.yaml"
    older = [line for line in config.read_text().splitlines() if "accumulate:" not in line and "sync_bn:" not in line]
    assert len(older) == len(config.read_text().splitlines()) - 4
    config.write_text("\n".join(older))
    train_source(Run(experiment, tmp_path))
    config.write_text("\n".join(older))
    changed = small_experiment(tiny_world, "source.accumulate=2", iterations=5)
    with pytest.raises(UserError, match=r"source\.accumulate was None, now 2"):
        train_source(Run(changed, tmp_path))


def test_fresh_moves_the_old_stage_aside(tiny_world, tmp_path):
    experiment = small_experiment(tiny_world, iterations=1)
    train_source(Run(experiment, tmp_path))
    old = (tmp_path / "source" / "checkpoint.npz").read_bytes()
    train_source(Run(experiment, tmp_path, fresh=True))
    moved = list(tmp_path.glob("source.*.old/checkpoint.npz"))
    assert [path.read_bytes() for path in moved] == [old]


def test_sigterm_saves_the_state_and_exits_with_143(finished, tiny_world, tmp_path):
    settings = [word for one in small_settings(tiny_world, 100000) for word in ("--set", one)]
    settings += ["--set", "bookkeeping.checkpoint_every=100000"]
    command = [sys.executable, str(ROOT / "tools" / "train_source.py"), "--config", str(CONFIG)]
    log = tmp_path / "source" / "log.jsonl"
    with subprocess.Popen([*command, "--run-dir", str(tmp_path), *settings], stderr=subprocess.PIPE) as process:
        while not (log.exists() and log.stat().st_size) and process.poll() is None:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    done = read_checkpoint(tmp_path / "source" / "checkpoint.npz").meta["iteration"]
    assert done >= 1
    assert f"saved after iteration {done}" in errors.decode()


def test_a_second_signal_ends_it_at_once(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "SAME_SECONDS", 0)
    loop = Loop.__new__(Loop)
    loop._distributed = Run(small_experiment(tiny_world), tmp_path).distributed
    with StopSignals(lambda number: None, loop._end_at_once), pytest.raises(SystemExit) as caught:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
    assert caught.value.code == 130


def test_a_second_process_in_one_folder_stops_at_once_and_a_killed_one_is_no_hindrance(tiny_world, tmp_path):
    code = (
        "import sys; from pathlib import Path; from gluon_madapt.config import load_experiment; "
        "from gluon_madapt.stages import Run; experiment = load_experiment(sys.argv[1], sys.argv[3:]); "
        "run = Run(experiment, Path(sys.argv[2])); run.open('source', {}); "
        "print('there', flush=True); sys.stdin.read()"
    )
    settings = small_settings(tiny_world)
    command = [sys.executable, "-c", code, str(CONFIG), str(tmp_path), *settings]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "there\n"
    run = Run(load_experiment(CONFIG, settings), tmp_path)
    with pytest.raises(UserError, match="source: another process is at work on it"):
        run.open("source", {})
    other.kill()
    other.communicate()
    run.open("source", {})
