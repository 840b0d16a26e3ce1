"""Reports, tables and doctors of runs that were made elsewhere: on other devices, with logs that nobody foresaw."""

import json
import shutil

import mxnet as mx
import pytest
import yaml
from report_runs import page_of
from small_experiments import small_experiment

from gluon_madapt.doctor import ERROR, examine
from gluon_madapt.errors import UserError
from gluon_madapt.report.charts import draw_panel
from gluon_madapt.report.curves import panels_of
from gluon_madapt.report.figure_files import FigureFolder
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.report.threshold_figure import draw_thresholds
from gluon_madapt.reproduction.estimate import Estimate
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.stages import Run, train_source

KEYS = [
    "../../escaped",
    "/etc/escaped",
    "a/b",
    "..",
    "",
    ".hidden",
    "a\0b",
    "a\nb",
    "x" * 5000,
    "ä" * 200,
    "CON",
    "<script>alert(1)</script>",
    "$\\frac{$",
    "\ud800",
    "adversarial_../../D1",
    "val.miou",
    "a b",
    "a-b",
    "learning_rate/",
]


@pytest.fixture
def on_no_gpu(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 0)


@pytest.fixture
def made_on_gpus(scored_run, tmp_path, on_no_gpu):
    """A copy of a finished run, as if GPUs had made it."""
    shutil.copytree(scored_run, tmp_path / "run")
    for path in (tmp_path / "run").glob("*/config.yaml"):
        settings = yaml.safe_load(path.read_text())
        settings["devices"], settings["model"]["sync_bn"] = ["gpu(0)", "gpu(1)"], True
        path.write_text(yaml.safe_dump(settings))
    return tmp_path / "run"


@pytest.mark.slow
def test_a_key_of_a_log_is_no_path(scored_run, tmp_path):
    folder = tmp_path / "above" / "run"
    shutil.copytree(scored_run, folder)
    with (folder / "source" / "log.jsonl").open("a") as file:
        for number, key in enumerate(KEYS):
            file.write(json.dumps({"iteration": number, key: 1.0}) + "\n")
    before = {path for path in tmp_path.rglob("*") if path.parent != folder}
    page = page_of(report_of_folder(folder))
    made = {path for path in tmp_path.rglob("*") if path not in before} - {folder / "report.html", folder / "report"}
    assert {path.parent for path in made if path.parent != folder} == {folder / "report"}
    pictures = [path for path in made if path.name.startswith("source-loss-")]
    assert len(pictures) == len([key for key in KEYS if not key.startswith("adversarial_")]) + 1
    assert any("<script>alert(1)</script> loss" in image["alt"] for image in page.all("img"))


def test_names_of_pictures_stay_apart_and_in_their_folder(tmp_path):
    album = FigureFolder(tmp_path / "album")
    names = [*KEYS, "a_b", "A-B-", "a..b", "NUL"]
    for name in names:
        album.add(name, draw_panel(panels_of([[{"iteration": 1, "learning_rate": 1.0}]])[0]), "")
    assert len(list((tmp_path / "album").iterdir())) == len(names)
    assert list(tmp_path.iterdir()) == [tmp_path / "album"]
    assert all(len(path.name) < 200 and path.name.isascii() for path in (tmp_path / "album").iterdir())


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 1e300, float("nan"), True, "1", None, [], {"miou": 1}, 1e99, -1e99, 2**63]
)
def test_values_of_any_size_are_drawn_or_left_out(value):
    log = [{"iteration": 1, "segmentation": 0.5}, {"iteration": 2, "segmentation": value}]
    log.append({"iteration": value, "segmentation": 0.25, "val": {"miou": value}})
    for panel in panels_of([log]):
        assert draw_panel(panel).startswith(b"\x89PNG")


def test_the_report_of_a_run_on_gpus_is_whole_without_any(made_on_gpus):
    page = page_of(report_of_folder(made_on_gpus))
    assert "could not be read" not in page.words
    assert "gpu(" not in page.words.replace("[gpu(0), gpu(1)]", "")
    assert (made_on_gpus / "report" / "figure-5.png").exists()
    assert (made_on_gpus / "report" / "figure-6.png").exists()


def test_thresholds_are_drawn_without_the_runs_devices(made_on_gpus, tiny_world):
    run = Run(small_experiment(tiny_world, "devices=[gpu(0)]", iterations=2), made_on_gpus)
    assert draw_thresholds(run, out=made_on_gpus / "drawn.png").path.exists()


def test_times_are_estimated_on_what_is_here(tiny_world, tmp_path, on_no_gpu):
    run = Run(small_experiment(tiny_world, "devices=[gpu(3)]"), tmp_path)
    step = Step("one", run, "source", (), (), scores=None, checkpoint=None)
    assert Estimate().seconds(step) > 0


def test_the_doctor_names_a_missing_device_once_and_looks_at_the_rest(tiny_world, tmp_path, on_no_gpu):
    run = Run(small_experiment(tiny_world, "devices=[gpu(0)]"), tmp_path)
    found = list(examine(run))
    wrong = [one for one in found if "gpu(0)" in one.text]
    assert [(one.level, one.what) for one in wrong] == [(ERROR, "device")]
    assert {"data.source", "data.target", "data.val", "disk", "training"} - {one.what for one in found} <= {"training"}


def test_a_training_is_refused_without_its_device_before_anything_is_begun(tiny_world, tmp_path, on_no_gpu):
    with pytest.raises(UserError, match=r"devices: gpu\(0\): MXNet sees 0 GPUs here"):
        train_source(Run(small_experiment(tiny_world, "devices=gpu"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()
