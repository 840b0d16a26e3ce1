"""Names of files and classes: all of them go through every stage, cache, report, prediction and export, unchanged."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from prediction_runs import predict, read, tree
from report_runs import page_of
from strange_names import CLASSES, FILES, strange, strange_settings, strange_world, text

from gluon_madapt import names
from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.data import proxy_path
from gluon_madapt.doctor.machine import examine_disk
from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.files.json_files import read_json, read_log
from gluon_madapt.prediction import Predictor
from gluon_madapt.proxy_maps import network_pass
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.reproduction.results import TableRow, table_of
from gluon_madapt.reproduction.writing import write_table
from gluon_madapt.stages import make_proxies, retrain, train_adversarial, train_source

ALL = [text(name) for name in FILES.values()]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return strange_world(tmp_path_factory.mktemp("strange"))


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """The folder, which has such a name itself, of a run of all stages."""
    folder = tmp_path_factory.mktemp("run") / text(b"run \xff <i> 'q' \"Q\" \x1b[31m%s $x$")
    for stage in (train_source, train_adversarial, lambda opened: make_proxies(opened, audit=True), retrain):
        stage(strange(world, folder))
    return folder


@pytest.fixture(scope="module")
def model(run):
    return Predictor.load(run)


def test_every_image_has_its_proxies_under_its_own_name(run, world):
    for name in ALL:
        assert read(proxy_path(run / "proxies" / "labels", name)).shape == (32, 64)
    assert sorted(one["image"] for one in read_log(run / "proxies" / "log.jsonl")) == sorted(ALL)
    record = json.loads((run / "proxies" / "proxies.json").read_text(encoding="utf-8"))
    assert record["images"] == len(ALL) == len(list((run / "cache").rglob("*.npz")))
    assert list(record["pixels_kept_by_class"]) == list(CLASSES)
    assert record["audit"]["proxies"]["pixels"] == record["pixels_kept"]


def test_what_is_made_is_found_again(run, world, monkeypatch):
    monkeypatch.setattr(network_pass, "load_networks", None)
    before = tree(run / "proxies")
    make_proxies(strange(world, run), audit=True)
    assert tree(run / "proxies") == before
    (run / "proxies" / "metrics.json").unlink()
    make_proxies(strange(world, run), audit=True)
    assert tree(run / "proxies") == before


def test_what_is_written_is_utf8_and_reads_back(run):
    written = [path for path in run.rglob("*") if path.suffix in (".json", ".jsonl", ".yaml")]
    assert {path.suffix for path in written} == {".json", ".jsonl", ".yaml"}
    for path in written:
        path.read_bytes().decode("utf-8")
    for stage in ("source", "adversarial", "proxies", "retrain"):
        stored = load_experiment(run / stage / "config.yaml")
        assert tuple(one.name for one in stored.classes) == CLASSES


@pytest.mark.slow
def test_the_report_shows_every_name_and_nothing_of_it_acts(run, world, tmp_path):
    page = tmp_path / f"{'r' * 250}.html"
    hostile = ("no UTF-8", "newline", "quotes", "right to left", "colours of a terminal", "elements")
    wanted = [text(FILES[name]) for name in hostile]
    report_of_folder(run, page, wanted)
    shown = page_of(page).words
    for name in (*wanted, *CLASSES, str(run)):
        assert " ".join(names.printable(name).split()) in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page.read_text(encoding="utf-8"))
    assert "could not be read" not in shown


def test_every_image_is_predicted_under_its_own_name_once(model, world, tmp_path):
    out = tmp_path / text(b"out \xff")
    wanted = {"confidence": True, "top_k": 2}
    counts = predict(model, out, world / "target", **wanted)
    assert (counts.predicted, counts.before, counts.broken) == (len(ALL), 0, [])
    for name in ALL:
        for kind, suffix in (("labels", "png"), ("colours", "png"), ("overlays", "png"), ("confidence", "png")):
            assert (out / kind / Path(name).with_suffix("")).with_name(f"{Path(name).stem}.{suffix}").is_file()
        assert (out / "top_k" / Path(name).parent / f"{Path(name).stem}.npz").is_file()
    listed = json.loads((out / "classes.json").read_bytes().decode("utf-8"))["classes"]
    assert tuple(one["name"] for one in listed) == CLASSES
    assert (
        json.loads((out / "predictions.json").read_bytes().decode("utf-8"))["checkpoint"] == model.origin["checkpoint"]
    )
    (out / "labels" / "left.png.partial").write_bytes(b"")
    (out / "videos" / "tmpabcdefgh.partial").mkdir(parents=True)
    assert predict(model, out, world / "target", **wanted).before == len(ALL)
    assert not [path for path in out.rglob("*.partial") if path.name != "y.partial"]


@pytest.mark.parametrize(
    "name", [b"film \xff.avi", "фильм 🎬.avi".encode(), b"http:film%03d.avi", b"v" * 251 + b".avi"]
)
def test_videos_of_such_names_are_predicted(model, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = cv2.VideoWriter("film.avi", cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 32))
    for value in (0, 255):
        writer.write(np.full((32, 64, 3), value, np.uint8))
    writer.release()
    Path("film.avi").rename(text(name))
    out = tmp_path / text(b"out \xff")
    assert predict(model, out, text(name), videos=True).predicted == 2
    stem = Path(text(name)).stem
    assert (out / "videos" / f"{stem}.mp4").stat().st_size
    assert (out / "labels" / stem / "000002.png").is_file()


def test_an_export_names_the_classes(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from gluon_madapt.export.onnx_file import write_onnx
    from gluon_madapt.runs.trained import load_trained

    path = tmp_path / text(b"caf\xe9.onnx")
    write_onnx(load_trained(run), 32, 64, path)
    with path.open("rb") as file:
        said = {one.key: one.value for one in onnx.load(file).metadata_props}
    assert tuple(json.loads(said["class_names"])) == CLASSES


def test_scores_are_written_before_they_are_printed(run, world, tmp_path):
    out = tmp_path / "scores.json"
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), "--config", str(run / "retrain" / "config.yaml")]
    command += ["--run-dir", run, "--stage", "source", "--out", str(out)]
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # where names of files are ASCII, too
    environment = dict(os.environ, PYTHONPATH=str(ROOT), **bare)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"standard output: cannot be written" in done.stderr
    scores = json.loads(out.read_bytes().decode("utf-8"))
    assert (tuple(scores["iou"]), scores["images"]) == (CLASSES, len(ALL))
    command[-1] = "/dev/full/scores.json"
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    assert done.returncode == 2
    assert b"/dev/full/scores.json: cannot be written" in done.stderr
    assert b"| mIoU " in done.stdout, "and where they cannot be written, they are printed"


@pytest.mark.parametrize("letters", [1, 143 - 8, 143 - 7, 250, 251, 255])
def test_a_file_of_any_length_is_written_whole(letters, tmp_path):
    path = tmp_path / ("x" * letters)
    with write_atomically(path, ".12-of-34") as file:
        (partial,) = tmp_path.iterdir()
        assert partial.name.endswith(".12-of-34.partial")
        assert len(partial.name) <= max(143, letters)
        file.write(b"whole")
    assert [path] == list(tmp_path.iterdir())


def test_names_that_are_shortened_stay_different_and_short_ones_stay_what_they_are(tmp_path):
    long = ["x" * 250 + end for end in (".png", ".jpg", "y.bmp")] + ["ü" * 125 + "a.png"]
    cache = MapCache(tmp_path, ["a.png", *long, *(f"b/{one}" for one in long)], {"discriminators": []})
    for index in range(len(cache)):
        cache.write(index, StoredMaps((1, 1), [], np.full((1, 1, 1), index, np.float32)), Shard())
    assert [cache.read(index).logits.item() for index in range(len(cache))] == list(range(len(cache)))
    assert (tmp_path / "a.png.npz").is_file()
    old = MapCache(tmp_path, ["x" * 247 + ".png"], {"discriminators": []})
    old.write(0, StoredMaps((1, 1), [], np.zeros((1, 1, 1), np.float32)), Shard())
    assert (tmp_path / f"{'x' * 247}.png.npz").is_file(), "which is what it was called before long ones were taken"


def test_where_a_file_system_takes_less_it_is_said_before_any_work(run, world, model, tmp_path, monkeypatch):
    monkeypatch.setattr(names.os, "pathconf", lambda path, what: 143)
    with pytest.raises(UserError, match=r"f/x\.png: cannot be written in .* 255 bytes, and the file system takes 143"):
        make_proxies(strange(world, tmp_path), cache=run / "cache")
    with pytest.raises(UserError, match="bytes, and the file system takes 143: rename it"):
        predict(model, tmp_path / "out", world / "target")
    assert not (tmp_path / "out" / "labels").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "--config", "CONFIG", "--run-dir", "x" * 300),
        ("report", "--run-dir", "d/" * 2500),
        ("predict", "x" * 300, "--checkpoint", "CONFIG", "--out", "out"),
    ],
)
def test_a_path_that_is_too_long_is_one_line(arguments, tmp_path):
    tool, *rest = arguments
    config = str(ROOT / "configs" / "mini" / "gta5.yaml")
    command = [
        sys.executable,
        str(ROOT / "tools" / f"{tool}.py"),
        *(config if one == "CONFIG" else one for one in rest),
    ]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "expected a path of 4095 bytes at most, and 255 in each name" in done.stderr


def test_the_doctor_names_a_run_folder_that_cannot_be_made(world):
    run = strange(world, Path("nowhere") / ("x" * 300))
    with pytest.raises(UserError, match="300 bytes, and the file system takes 255: rename it"):
        next(examine_disk(run))


def test_a_table_of_runs_of_such_names_is_written(tmp_path):
    scores = {"miou": 1.0, "iou": dict.fromkeys(CLASSES, 1.0), "trained_by": ["x"], "scored_by": "x"}
    results = [{"seed": 1, "run_folder": str(tmp_path / text(b"run \xff")), "scores": scores}]
    row = TableRow(row="Straße | 🚗", experiment="\x1b[31m", encoder="small", results=results)
    write_table(table_of(3, [row], "reproduce.py --run-dir \udcff"), tmp_path)
    for suffix in ("md", "csv", "json"):
        assert "run \\udcff" in (tmp_path / f"table-3.{suffix}").read_bytes().decode("utf-8")
    assert read_json(tmp_path / "table-3.json")["command"] == "reproduce.py --run-dir \udcff"


def test_an_emoji_in_json_is_the_emoji_and_half_of_one_an_error(world):
    assert "\\ud83d\\ude97" in strange_settings(world)[0], "as JSON, and so a YAML file, may have it"
    with pytest.raises(ConfigError, match=r"data\.target\.root = '/x.udcff': expected .* no UTF-8: rename"):
        strange(world, world, 'data.target.root="/x\\udcff"')
    with pytest.raises(ConfigError, match=r"name = 'a.x00b': expected the name of a folder"):
        strange(world, world, 'name="a\\0b"')
