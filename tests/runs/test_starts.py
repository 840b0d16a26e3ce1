"""What --from and --checkpoint may name: a finished checkpoint of the right stage, or a folder that holds it."""

import json
import zipfile

import numpy as np
import pytest
from small_experiments import CONFIG, run_stages, small_experiment

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.files.archives import write_archive
from gluon_madapt.runs.checkpoints import named_checkpoint, start_at
from gluon_madapt.runs.trained import load_trained
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

STAGES = ("source", "adversarial", "retrain")


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run_stages(tiny_world, folder, train_source, train_adversarial)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Folders of runs, whose checkpoints say of themselves what those of trainings do, and hold nothing."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, done in (("run", 5), ("stopped", 3)):
        for stage in STAGES:
            (folder / name / stage).mkdir(parents=True)
            meta = {"stage": stage, "iteration": done, "iterations": 5}
            write_checkpoint(folder / name / stage / "checkpoint.npz", Checkpoint(meta, {"a": np.zeros(1)}))
    (folder / "empty").mkdir()
    (folder / "released.params").write_bytes(b"a parameter file")
    return folder


CALLS = {
    "source": lambda run: run.start_of_round(),
    "adversarial": lambda run: run.checkpoint_of("adversarial"),
}


def run_from(path, number=1):

    return Run(load_experiment(CONFIG), start_from=path, number=number)


CASES = [
    # the stage that is wanted, the round, what --from names, what is taken or said
    ("source", 1, "run/source/checkpoint.npz", "run/source/checkpoint.npz"),
    ("source", 1, "run/source", "run/source/checkpoint.npz"),
    ("source", 1, "run", "run/source/checkpoint.npz"),
    ("source", 1, "released.params", "released.params"),
    (
        "source",
        1,
        "run/adversarial/checkpoint.npz",
        "is of stage 'adversarial': expected a finished checkpoint of 'source'$",
    ),
    ("source", 1, "run/retrain", "run/retrain/checkpoint.npz: is of stage 'retrain'"),
    ("source", 1, "stopped/source/checkpoint.npz", "stage 'source' was stopped after iteration 3 of 5"),
    ("source", 1, "stopped", "stopped/source/checkpoint.npz: stage 'source' was stopped"),
    ("source", 1, "stopped/retrain", "is of stage 'retrain'"),
    (
        "source",
        1,
        "empty",
        "empty: holds no checkpoint.npz, nor does source in it: expected a checkpoint, or the folder",
    ),
    ("source", 1, "nowhere", "nowhere: no such file: expected a checkpoint, or the folder"),
    ("adversarial", 1, "run/adversarial/checkpoint.npz", "run/adversarial/checkpoint.npz"),
    ("adversarial", 1, "run", "run/adversarial/checkpoint.npz"),
    ("adversarial", 1, "released.params", "released.params"),
    ("adversarial", 1, "run/source", "is of stage 'source': .* tools/train_adv.py trains one; or give --p1 1 and"),
    ("adversarial", 1, "run/retrain", "is of stage 'retrain'"),
    ("adversarial", 1, "stopped", "stage 'adversarial' was stopped after iteration 3 of 5"),
    ("source", 2, "run/retrain/checkpoint.npz", "run/retrain/checkpoint.npz"),
    ("source", 2, "run", "run/retrain/checkpoint.npz"),
    ("source", 2, "run/source", "run/source/checkpoint.npz"),
    ("source", 2, "run/adversarial", "expected a finished checkpoint of 'retrain' or 'source'"),
    ("source", 2, "stopped", "stage 'retrain' was stopped after iteration 3 of 5"),
]


@pytest.mark.parametrize(("stage", "number", "named", "expected"), CASES)
def test_from_takes_a_finished_checkpoint_of_the_right_stage(checkpoints, stage, number, named, expected):
    run = run_from(checkpoints / named, number)
    if (checkpoints / expected).is_file():
        assert CALLS[stage](run) == checkpoints / expected
        return
    with pytest.raises(UserError, match=expected) as caught:
        CALLS[stage](run)
    assert str(caught.value).startswith(f"--from {checkpoints / named}")


def test_a_checkpoint_of_before_stages_were_noted_is_taken(tmp_path):
    meta = json.dumps({"format": 1, "iteration": 2, "iterations": 2, "arrays": 1}).encode()
    with (tmp_path / "old.npz").open("wb") as file:
        write_archive(file, {"meta": np.frombuffer(meta, dtype=np.uint8), "a": np.zeros(1)})
    assert zipfile.is_zipfile(tmp_path / "old.npz")
    assert start_at(tmp_path / "old.npz", ("source",)) == tmp_path / "old.npz"


@pytest.mark.parametrize(
    ("named", "stages", "expected"),
    [
        ("run", STAGES[::-1], "run/retrain/checkpoint.npz"),
        ("run", ("source",), "run/source/checkpoint.npz"),
        ("run/adversarial", STAGES[::-1], "run/adversarial/checkpoint.npz"),
        ("stopped/source/checkpoint.npz", STAGES, "stopped/source/checkpoint.npz"),
    ],
)
def test_a_folder_stands_for_its_checkpoint(checkpoints, named, stages, expected):
    assert named_checkpoint(checkpoints / named, stages) == checkpoints / expected


@pytest.mark.parametrize("named", ["nowhere", "empty"])
def test_a_model_that_is_nowhere_is_said_to_be(checkpoints, named):
    with pytest.raises(UserError, match=f"{named}: (no such file|holds no checkpoint.npz)"):
        load_trained(checkpoints / named)


def test_stages_start_from_other_runs_by_their_folder_or_their_finished_network(finished, tiny_world, tmp_path):
    experiment = small_experiment(tiny_world, iterations=1)
    expected = read_checkpoint(finished / "adversarial" / "checkpoint.npz").arrays
    for name, start in (("folder", finished), ("network", finished / "source" / "segmenter.params")):
        train_adversarial(Run(experiment, tmp_path / name, start))
        found = read_checkpoint(tmp_path / name / "adversarial" / "checkpoint.npz").arrays
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[key], value) for key, value in expected.items())
    make_proxies(Run(experiment, tmp_path / "folder", finished))
    retrain(Run(experiment, tmp_path / "folder", finished / "source" / "segmenter.params"))
    assert (tmp_path / "folder" / "retrain" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("stage", "start", "expected"),
    [(train_adversarial, "adversarial", "is of stage 'adversarial'"), (make_proxies, "source", "is of stage 'source'")],
)
def test_a_stage_that_is_refused_leaves_nothing(finished, tiny_world, tmp_path, stage, start, expected):
    with pytest.raises(UserError, match=expected):
        stage(Run(small_experiment(tiny_world, iterations=1), tmp_path / "run", finished / start))
    assert not (tmp_path / "run").exists()
