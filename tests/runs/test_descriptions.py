"""A parameter file is of the classes that it was trained on, in their order, wherever it is used."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from small_experiments import run_stages, small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.labels import class_set
from gluon_madapt.runs.trained import load_any_segmenter, load_trained
from gluon_madapt.stages import Run, train_source
from gluon_madapt.weights.gluon_files import checksum_of, read_arrays, write_arrays

SILENT = "does not say what its classes are"


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_stages(tiny_world, folder, train_source)
    return folder / "source"


@pytest.fixture
def source(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "source")
    return tmp_path / "source"


def as_it_is(source):
    return source / "segmenter.params"


def copied_with_its_checksum(source):
    for path in (source / "segmenter.params", checksum_of(source / "segmenter.params")):
        shutil.copy(path, source.parent)
    return source.parent / "segmenter.params"


def renamed(source):
    path = source.parent / "mine.params"
    shutil.copy(source / "segmenter.params", path)
    shutil.copy(checksum_of(source / "segmenter.params"), checksum_of(path))
    return path


def as_once_written(source):
    path = source / "segmenter.params"
    checksum = checksum_of(path)
    checksum.write_text(checksum.read_text().splitlines()[0] + "\n")
    return path


def alone(source):
    return shutil.copy(source / "segmenter.params", source.parent / "mine.params")


def beside_another_checkpoint(source):
    path = as_once_written(source)
    arrays = read_arrays(path)
    key = min(arrays)
    arrays[key] = arrays[key] + 1
    write_arrays(path, arrays)
    return path


def beside_a_damaged_checkpoint(source):
    path = as_once_written(source)
    (source / "checkpoint.npz").write_bytes(b"damaged")
    return path


SPEAKING = [as_it_is, copied_with_its_checksum, renamed, as_once_written]
SAYING_NOTHING = [alone, beside_another_checkpoint, beside_a_damaged_checkpoint]


def reordered():
    names = list(class_set(19).names)
    return [names[1], names[0], *names[2:]]


def experiment_of(world, names):
    ids = json.dumps([{"name": name, "ids": [number]} for number, name in enumerate(names)])
    return small_experiment(world, f"classes={ids}")


@pytest.mark.parametrize("place", SPEAKING)
def test_a_network_of_classes_in_another_order_is_refused(source, tiny_world, place):
    path = place(source)
    run = Run(experiment_of(tiny_world, reordered()), source.parent)
    with pytest.raises(UserError, match="is of a model with class road: this experiment has sidewalk in its place"):
        load_any_segmenter(run, path)
    net, checkpoint = load_any_segmenter(Run(small_experiment(tiny_world), source.parent), path)
    assert checkpoint.meta["stage"] == "source"


@pytest.mark.parametrize("place", SAYING_NOTHING)
def test_a_file_that_says_nothing_of_its_classes_is_taken_and_that_is_said(source, tiny_world, place, caplog):
    caplog.set_level("INFO")
    path = place(source)
    checkpoint = load_any_segmenter(Run(experiment_of(tiny_world, reordered()), source.parent), path)[1]
    assert checkpoint.meta == {"stage": "retrain"}
    assert f"{path}: {SILENT}" in caplog.text


@pytest.mark.parametrize("place", [*SPEAKING, *SAYING_NOTHING])
def test_a_model_that_is_used_has_the_classes_that_are_said(source, place, caplog):
    caplog.set_level("INFO")
    model = load_trained(place(source))
    assert model.origin["stage"] == ("source" if place in SPEAKING else None)
    assert (SILENT in caplog.text) == (place in SAYING_NOTHING)


def test_classes_of_ones_own_survive_without_a_checkpoint(source):
    path = copied_with_its_checksum(source)
    said = {"classes": 19, "class_names": reordered(), "palette": np.zeros((19, 3), int).tolist()}
    write_arrays(path, read_arrays(path), said)
    assert list(load_trained(path).classes.names) == reordered()


def test_what_is_said_of_another_network_is_refused(source, tiny_world):
    path = renamed(source)
    write_arrays(path, read_arrays(path), {"classes": 7, "encoder": "vgg16"})
    with pytest.raises(UserError, match="is of 19 classes and encoder small: its description says otherwise"):
        load_trained(path)
    with pytest.raises(UserError, match="is of a model with encoder vgg16: this experiment's has encoder small"):
        load_any_segmenter(Run(small_experiment(tiny_world), source.parent), path)


def test_sha256sum_checks_the_file_and_passes_over_the_comment(source):
    done = subprocess.run(
        ["sha256sum", "-c", "segmenter.params.sha256"], cwd=source, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "segmenter.params: OK\n", "")


@pytest.mark.parametrize("harm", [as_once_written, lambda source: (source / "segmenter.params").write_bytes(b"x")])
def test_a_finished_stage_writes_its_network_anew_where_that_is_not_what_it_wrote(source, tiny_world, harm):
    before = {path.name: path.read_bytes() for path in source.glob("segmenter.*")}
    harm(source)
    train_source(Run(small_experiment(tiny_world, iterations=1), source.parent))
    assert {path.name: path.read_bytes() for path in source.glob("segmenter.*")} == before


def test_eval_refuses_it_in_one_line(source, tiny_world, tmp_path):
    from small_experiments import CONFIG, small_settings  # noqa: PLC0415

    ids = json.dumps([{"name": name, "ids": [number]} for number, name in enumerate(reordered())])
    words = [word for one in [*small_settings(tiny_world), f"classes={ids}"] for word in ("--set", one)]
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), "--config", str(CONFIG), *words]
    path = copied_with_its_checksum(source)
    done = subprocess.run([*command, "--checkpoint", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    expected = f"error: {path}: is of a model with class road: this experiment has sidewalk in its place"
    assert done.stderr.splitlines()[-1] == expected
    assert "Traceback" not in done.stderr
