"""What a user keeps where a stage, a pass, scores, a table or a report would go is refused in a line and left alone."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from prediction_runs import tree
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.doctor import ERROR, examine
from gluon_madapt.errors import UserError
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import table_of
from gluon_madapt.reproduction.reuse import reuse_of
from gluon_madapt.reproduction.rows import rows_of
from gluon_madapt.reproduction.writing import write_table
from gluon_madapt.run_layout import STAGES
from gluon_madapt.runs.ownership import refuse_other_page, refuse_other_scores
from gluon_madapt.stages import Run

# Files of a user, by what they are.
THEIRS = {
    "photographs": {"a.png": b"x"},
    "a thesis in a folder": {"deep/main.tex": b"years"},
    "a config of another program": {"config.yaml": b"data: 3\nretrain: 4\n"},
    "a log of another program": {"log.jsonl": b"{}\n", "metrics.json": b"{}"},
    "hidden files beside others": {".git/HEAD": b"ref", "main.c": b"int"},
    "an empty folder in it": {"new": None},
}


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
    return folder


def begun(world, folder, stage, fresh=False, number=1):
    run = Run(small_experiment(world), folder, fresh=fresh, number=number)
    return run.open(stage, {"images": "4 images"})


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize(("stage", "number"), [*((stage, 1) for stage in STAGES), ("retrain", 2)])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_stage_refuses_a_folder_of_something_else(kind, stage, number, fresh, tiny_world, tmp_path):
    folder = put((tmp_path / f"round-{number}" if number > 1 else tmp_path) / stage, THEIRS[kind])
    before = tree(folder)
    with pytest.raises(
        UserError, match=rf"{stage}: is no stage of a run, nor empty, and is left alone: choose another"
    ):
        begun(tiny_world, tmp_path, stage, fresh, number)
    assert tree(folder) == before
    assert not list(folder.parent.glob("*.old"))


@pytest.mark.parametrize(
    "there", [{}, {".DS_Store": b""}, {"Thumbs.db": b"", ".gitkeep": b""}, {"config.yaml.partial": b"half"}]
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_as_good_as_empty_is_taken(there, fresh, tiny_world, tmp_path):
    (tmp_path / "source").mkdir()
    put(tmp_path / "source", there)
    folder = begun(tiny_world, tmp_path, "source", fresh)
    assert (folder / "inputs.json").exists()
    assert not list(tmp_path.glob("*.old")), "nothing was made that could be moved aside"


@pytest.mark.parametrize(
    "left",
    [
        {"config.yaml", "inputs.json"},
        {"config.yaml"},
        {"checkpoint.npz"},
        {"checkpoint.previous.npz", "log.jsonl"},
        {"config.yaml", "inputs.json", "checkpoint.npz", "a user's notes.txt"},
    ],
)
def test_what_a_stage_has_left_is_moved_aside_by_fresh_whatever_became_of_it(left, tiny_world, tmp_path):
    folder = begun(tiny_world, tmp_path, "source")
    for name in left - {"config.yaml", "inputs.json"}:
        (folder / name).write_bytes(b"")
    for name in {"config.yaml", "inputs.json"} - left:
        (folder / name).unlink()
    begun(tiny_world, tmp_path, "source", fresh=True)
    (aside,) = tmp_path.glob("source.*.old")
    assert {path.name for path in aside.iterdir()} == left


def test_damaged_records_of_a_stage_are_its_own(tiny_world, tmp_path):
    folder = begun(tiny_world, tmp_path, "source")
    (folder / "config.yaml").write_text("[1")
    with pytest.raises(UserError, match="it is damaged: give --fresh"):
        begun(tiny_world, tmp_path, "source")
    begun(tiny_world, tmp_path, "source", fresh=True)


def pass_over(folder, images="4 images"):
    return MapCache(folder, ["a"], {"images": images, "discriminators": []})


def fill(folder):
    cache = pass_over(folder)
    with cache.writing(Shard()):
        cache.write(0, StoredMaps((4, 4), [], np.zeros((2, 1, 1), np.float32)), Shard())
    return cache


def their_arrays(folder):
    folder.mkdir(parents=True)
    np.savez(folder / "a.npz", x=np.zeros(3))


THEIR_CACHES = {
    **{kind: lambda folder, files=files: put(folder, files) for kind, files in THEIRS.items() if kind[:2] != "an"},
    "arrays": their_arrays,
    "inputs of another program": lambda folder: put(folder, {"inputs.json": b'{"x": 1}'}),
}


@pytest.mark.parametrize("kind", THEIR_CACHES)
@pytest.mark.parametrize("more", [{}, {"fresh": True}, {"restart": True}, {"shard": Shard(1, 2)}])
def test_a_network_pass_refuses_a_folder_of_something_else(kind, more, tmp_path):
    folder = tmp_path / "cache"
    THEIR_CACHES[kind](folder)
    before = tree(folder)
    refused = "cache: is no network pass, nor empty, and is left alone: choose another --cache"
    with pytest.raises(UserError, match=refused), pass_over(folder).writing(**{"shard": Shard(), **more}):
        pass
    assert tree(folder) == before
    assert not list(tmp_path.glob("*.old"))


def test_a_stage_is_no_network_pass(tiny_world, tmp_path):
    folder = begun(tiny_world, tmp_path, "source")
    refused = pytest.raises(UserError, match="source: is no network pass")
    with refused, pass_over(folder).writing(Shard(), fresh=True):
        pass


@pytest.mark.parametrize("damage", ["none", "record missing", "record damaged", "maps damaged", "record alone"])
def test_a_network_pass_is_its_own_whatever_became_of_it(damage, tmp_path):
    fill(tmp_path / "cache")
    record = tmp_path / "cache" / "inputs.json"
    if damage == "record missing":
        record.unlink()
    if damage in ("record damaged", "record alone"):
        record.write_text("{")
    if damage in ("maps damaged", "record alone"):
        (tmp_path / "cache" / "a.npz").write_bytes(b"half")
    if damage == "record alone":
        (tmp_path / "cache" / "a.npz").unlink()
    with pass_over(tmp_path / "cache").writing(Shard(), restart=True, fresh=True):
        pass
    assert len(list(tmp_path.glob("cache.*.old"))) == 1


@pytest.mark.parametrize("content", ["notes", '{"x": 1}', "7", "[1]", '"miou"'])
def test_scores_do_not_take_the_place_of_another_file(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"a\.json: is no file of scores, and is left alone: choose another --out"):
        refuse_other_scores(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"miou": 3}'])
def test_scores_take_the_place_of_scores(content, tmp_path):
    refuse_other_scores(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(content)
    refuse_other_scores(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["table-3.md", "table-3.csv", "table-3.json"])
def test_a_table_does_not_take_the_place_of_another_file(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=rf"{name}: is no table of this project"):
        write_table(table_of(3, [], "command"), tmp_path)
    (tmp_path / name).unlink()
    for _ in range(2):
        write_table(table_of(3, [], "command"), tmp_path)


@pytest.mark.parametrize(
    "theirs", [{"report.html": b"<html>mine</html>"}, {"report/iou.txt": b"x"}, {"report/IMG_1.png": b"x"}]
)
def test_a_report_does_not_take_the_place_of_another_page_or_folder(theirs, tiny_world, tmp_path):
    begun(tiny_world, tmp_path, "source")
    put(tmp_path, theirs)
    before = tree(tmp_path)
    with pytest.raises(UserError, match=r"report(\.html)?: is no .*, and is left alone: choose another --out"):
        report_of_folder(tmp_path)
    assert tree(tmp_path) == before


def test_a_report_takes_the_place_of_a_report(tiny_world, tmp_path):
    begun(tiny_world, tmp_path, "source")
    for _ in range(2):
        page = report_of_folder(tmp_path)
    page.unlink()
    put(tmp_path, {"report/figure-5-1-before.png": b"", "report/mini-gta5-source-loss-segmentation.png": b""})
    refuse_other_page(page)


def plan_of(world, folder):
    plan = Plan(ROOT, CONFIG, small_settings(world), None, folder)
    for row in rows_of(3, plan.run.experiment):
        plan.add(row)
    return plan


@pytest.mark.parametrize("place", ["source", "retrain", "cache", "scores", "no_adversary/adversarial"])
def test_a_fresh_table_moves_nothing_if_any_of_it_is_not_its_own(place, tiny_world, tmp_path):
    begun(tiny_world, tmp_path, "source" if place != "source" else "adversarial")
    put(tmp_path / place, THEIRS["a thesis in a folder"])
    before = tree(tmp_path)
    with pytest.raises(UserError, match=f"{place}: is no .*, nor empty, and is left alone"):
        plan_of(tiny_world, tmp_path).move_aside()
    assert tree(tmp_path) == before


def test_a_fresh_table_moves_what_is_its_own(tiny_world, tmp_path):
    begun(tiny_world, tmp_path, "source")
    fill(tmp_path / "cache")
    put(tmp_path / "scores", {"source.json": b'{"miou": 3}', "notes.txt": b"good"})
    put(tmp_path / "photographs", THEIRS["photographs"])
    plan_of(tiny_world, tmp_path).move_aside()
    names = {path.name.split(".")[0]: path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert {name for name, whole in names.items() if whole.endswith(".old")} == {"source", "cache", "scores"}
    assert names["photographs"] == "photographs"


def test_a_table_and_the_doctor_say_so_before_anything_is_run(tiny_world, tmp_path):
    put(tmp_path / "source", THEIRS["photographs"])
    state = reuse_of(plan_of(tiny_world, tmp_path))["source"]
    assert state.kind == "refused"
    assert "source: is no stage of a run" in state.why
    found = [one for one in examine(Run(small_experiment(tiny_world), tmp_path)) if one.what == "run folder"]
    assert [one.level for one in found] == [ERROR]
    assert "source: is no stage of a run" in found[0].text


def test_the_command_ends_with_2_and_one_line(tiny_world, tmp_path):
    put(tmp_path / "run" / "source", THEIRS["photographs"])
    words = [word for one in small_settings(tiny_world, 1) for word in ("--set", one)]
    command = [sys.executable, str(ROOT / "tools" / "train_source.py"), "--config", str(CONFIG)]
    command += ["--run-dir", str(tmp_path / "run"), *words, "--fresh"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/run/source: is no stage of a run, nor empty, and is left alone")


BAD_NAMES = ("../../x", "..", ".", "", " ", "/abs", "a/b", "a/", "a\\b", "a\0b", "a\nb", "\ud800", "x" * 256, "ü" * 128)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_folders_name_is_refused(name):
    with pytest.raises(ConfigError, match="name = .*: expected the name of a folder"):
        load_experiment(CONFIG, [f"name={json.dumps(name)}"])


@pytest.mark.parametrize("name", ["my-town", "my town", ".x", "a.b", "Straße", "x" * 255, "~"])
def test_a_name_that_is_a_folders_name_is_taken(name):
    assert load_experiment(CONFIG, [f"name={json.dumps(name)}"]).name == name
