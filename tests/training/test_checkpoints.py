"""Checkpoints: whole or refused, and the one before is there when one is refused."""

import itertools
import json
import shutil
import zipfile

import numpy as np
import pytest
from interrupted import assert_same
from small_experiments import small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.stages import Run, train_adversarial, train_source
from gluon_madapt.training import checkpoint
from gluon_madapt.training.checkpoint import (
    Checkpoint,
    previous_checkpoint,
    read_checkpoint,
    read_meta,
    write_checkpoint,
)

ARRAYS = {"segmenter/x": np.arange(6, dtype="f4"), "D1/y": np.ones((2, 2), "f4")}


def written(path, iteration=3):
    write_checkpoint(path, Checkpoint({"iteration": iteration}, ARRAYS))
    return path.read_bytes()


def test_no_altered_byte_is_accepted(tmp_path):
    path = tmp_path / "checkpoint.npz"
    whole = written(path)
    for place, bit in itertools.product(range(len(whole)), (1, 128)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        for read in (read_checkpoint, read_meta):
            with pytest.raises(UserError):
                read(path)


def test_no_cut_is_accepted(tmp_path):
    path = tmp_path / "checkpoint.npz"
    whole = written(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            read_checkpoint(path)


def test_checkpoints_of_before_there_was_a_digest_are_read(tmp_path):
    path = tmp_path / "checkpoint.npz"
    meta = json.dumps({"iteration": 3, "format": 1, "arrays": 2})
    np.savez(path, meta=np.frombuffer(meta.encode(), dtype=np.uint8), **ARRAYS)
    assert read_checkpoint(path).meta["iteration"] == 3


def test_a_checkpoint_of_another_format_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    monkeypatch.setattr(checkpoint, "FORMAT", 3)
    written(path)
    monkeypatch.undo()
    with pytest.raises(UserError, match="format 3: expected 1 to 2"):
        read_checkpoint(path)


def test_the_one_before_is_kept(tmp_path):
    path = tmp_path / "checkpoint.npz"
    for iteration in (3, 4, 5):
        written(path, iteration)
    assert read_checkpoint(path).meta["iteration"] == 5
    assert read_checkpoint(previous_checkpoint(path)).meta["iteration"] == 4
    assert {one.name for one in tmp_path.iterdir()} == {"checkpoint.npz", "checkpoint.previous.npz"}


def test_one_that_reads_back_otherwise_does_not_take_the_place_of_what_is_there(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    written(path, 3)
    write_archive = checkpoint.write_archive

    def failing_disk(file, arrays):
        write_archive(file, arrays)
        file.seek(100)
        file.write(b"\0\0\0\0")

    monkeypatch.setattr(checkpoint, "write_archive", failing_disk)
    with pytest.raises(UserError):
        written(path, 4)
    monkeypatch.undo()
    assert read_checkpoint(path).meta["iteration"] == 3
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def unsupported(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(checkpoint.os, "link", unsupported)
    path = tmp_path / "checkpoint.npz"
    for iteration in (3, 4):
        written(path, iteration)
    assert read_checkpoint(path).meta["iteration"] == 4
    assert read_checkpoint(previous_checkpoint(path)).meta["iteration"] == 3


@pytest.fixture(scope="module")
def trained(tiny_world, tmp_path_factory):
    """A source stage of five iterations, with checkpoints after 2, 4 and 5."""
    folder, experiment = tmp_path_factory.mktemp("run"), small_experiment(tiny_world, iterations=5)
    train_source(Run(experiment, folder))
    return folder, experiment


@pytest.fixture
def copy(trained, tmp_path):
    folder, experiment = trained
    shutil.copytree(folder, tmp_path / "run")
    return Run(experiment, tmp_path / "run"), tmp_path / "run" / "source"


def damage(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_a_damaged_checkpoint_is_refused_and_the_one_before_gone_on_from(copy, trained, caplog):
    run, folder = copy
    damage(folder / "checkpoint.npz")
    train_source(run)
    assert "is no complete checkpoint" in caplog.text
    assert "the one before it is used" in caplog.text
    assert_same(folder / "checkpoint.npz", trained[0] / "source" / "checkpoint.npz")
    assert (folder / "checkpoint.damaged.npz").exists(), "nothing is lost, broken as it may be"
    iterations = [json.loads(line)["iteration"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert iterations == [1, 2, 3, 4, 5]


def test_a_checkpoint_that_is_gone_leaves_the_one_before(copy, trained):
    run, folder = copy
    (folder / "checkpoint.npz").unlink()
    train_source(run)
    assert_same(folder / "checkpoint.npz", trained[0] / "source" / "checkpoint.npz")


def test_when_both_are_damaged_nothing_is_trained_over_them(copy):
    run, folder = copy
    for name in ("checkpoint.npz", "checkpoint.previous.npz"):
        damage(folder / name)
    with pytest.raises(UserError, match=r"checkpoint\.previous\.npz: is no complete checkpoint"):
        train_source(run)
    assert (folder / "checkpoint.npz").exists()


def test_a_damaged_only_checkpoint_says_what_to_do(copy):
    run, folder = copy
    (folder / "checkpoint.previous.npz").unlink()
    damage(folder / "checkpoint.npz")
    with pytest.raises(UserError, match="there is none before it: give --fresh"):
        train_source(run)


def test_the_next_stage_names_the_command_that_mends_a_damaged_one(copy):
    run, folder = copy
    damage(folder / "checkpoint.npz")
    with pytest.raises(UserError, match=r"train_source\.py .* goes on from the one before it"):
        train_adversarial(run)


def test_an_optimiser_state_that_is_missing_is_an_error_of_the_file(copy):
    run, folder = copy
    stored = read_checkpoint(folder / "checkpoint.npz")
    key = next(key for key in stored.arrays if key.startswith("optimizer/"))
    del stored.arrays[key]
    write_checkpoint(folder / "checkpoint.npz", stored)
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=f"holds no {key} of shape"):
        train_source(run)


def test_nothing_in_a_checkpoint_is_unpickled(tmp_path):
    path = tmp_path / "checkpoint.npz"
    meta = json.dumps({"iteration": 3, "format": 1, "arrays": 1})
    evil = np.array([{"a": 1}], dtype=object)
    np.savez(path, meta=np.frombuffer(meta.encode(), dtype=np.uint8), **{"segmenter/x": evil})
    assert zipfile.is_zipfile(path)
    with pytest.raises(UserError, match="is no complete checkpoint"):
        read_checkpoint(path)
