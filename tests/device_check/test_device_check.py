"""What `check_gpu` says of a device: a CPU stands in, and is then given faults."""

import importlib
import json
import re
import shutil
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from conftest import GOLDEN, ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.device_check import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Check,
    check_device,
    costs,
    examination,
    steps,
    write_device_report,
)
from gluon_madapt.device_check.memory import peak_memory
from gluon_madapt.device_check.outputs import check_outputs
from gluon_madapt.device_check.pipeline import check_stages
from gluon_madapt.errors import UserError
from gluon_madapt.models.passes import SupervisedPass

MINI = CONFIG


def levels(checks, what=None):
    return [check.level for check in checks if what in (None, check.what)]


@pytest.fixture
def golden(tmp_path):
    """A folder with the golden file of one encoder."""
    path = tmp_path / "golden" / "resnet101_19_64x128.npz"
    path.parent.mkdir()
    shutil.copy(GOLDEN / path.name, path)
    return path


@pytest.mark.slow
def test_released_outputs_are_found_on_the_device_and_others_fail(golden):
    checks = list(check_outputs(mx.cpu(1), golden.parent))
    assert levels(checks) == [OK, OK]
    for check in checks:
        (differences,) = check.figures.values()
        assert max(differences.values()) < 1e-5
    archive = dict(np.load(golden))
    archive["feature"] = archive["feature"] + 0.01 * np.ptp(archive["feature"])
    np.savez(golden, **archive)
    assert levels(check_outputs(mx.cpu(0), golden.parent)) == [FAILED, FAILED]


def test_without_golden_files_that_check_is_skipped(tmp_path):
    (check,) = check_outputs(mx.cpu(0), tmp_path)
    assert check.level == SKIPPED
    assert str(tmp_path) in check.text


@pytest.mark.slow
def test_steps_on_a_device_are_those_of_the_cpu():
    checks = list(steps.check_steps(MINI, ["cpu(1)"]))
    assert levels(checks, "one step") == levels(checks, "recompute") == levels(checks, "repeatable") == [OK] * 3
    assert [check.figures for check in checks if check.what == "one step"] == [
        {stage: 0.0} for stage in ("source", "adversarial", "retrain")
    ]
    assert levels(checks, "several devices") == [SKIPPED]


@pytest.mark.slow
def test_two_devices_have_the_same_parameters_after_a_step():
    checks = list(steps.check_steps(MINI, ["cpu(0)", "cpu(1)"]))
    assert levels(checks, "several devices") == [OK]


@pytest.mark.slow
def test_a_device_that_learns_something_else_fails(monkeypatch):
    parts = steps._parts

    def other_images(run, size):
        found = parts(run, size)
        if str(run.contexts[0]) == "cpu(1)":
            found = [part._replace(images=part.images * 1.05) for part in found]
        return found

    monkeypatch.setattr(steps, "_parts", other_images)
    checks = list(steps.check_steps(MINI, ["cpu(1)"]))
    assert levels(checks, "one step") == [FAILED] * 3
    assert levels(checks, "repeatable") == [OK] * 3


@pytest.mark.slow
def test_what_is_not_repeatable_is_named(monkeypatch):
    parts, rng = steps._parts, np.random.default_rng(0)

    def noisy(run, size):
        return [part._replace(images=part.images + rng.normal() * 1e-3) for part in parts(run, size)]

    monkeypatch.setattr(steps, "_parts", noisy)
    found = [check for check in steps.check_steps(MINI, ["cpu(0)"]) if check.what == "repeatable"]
    assert levels(found) == [WARNING] * 3
    assert "the backward pass, " in found[0].text

    class Dropped(SupervisedPass):
        def after_encoder(self, F, maps, images, labels):
            return super().after_encoder(F, (*maps[:3], F.Dropout(maps[3], p=0.5, name="noise")), images, labels)

    monkeypatch.setattr(steps, "SupervisedPass", Dropped)
    assert steps._unequal_operator(MINI, "cpu(0)", ()).endswith("noise_output")


@pytest.mark.slow
def test_all_stages_run_on_a_world_of_its_own(tmp_path):
    settings = [one for one in small_settings("", 40) if not one.startswith("data.")]
    checks = list(check_stages(MINI, "cpu(0)", tmp_path, settings))
    assert levels(checks) == [OK] * 5
    assert set(checks[-1].figures["miou"]) == {"source", "retrain"}


SMALL = ("source.batch_size=1", "adversarial.batch_size=1", "retrain.batch_size=1")


@pytest.mark.slow
def test_memory_is_measured_where_it_fits(monkeypatch):
    checks = list(costs.check_memory(MINI, "cpu(0)", SMALL))
    assert len(checks) == 6
    assert {check.level for check in checks} <= {OK, WARNING}
    assert all(0.1 < one["gib"] < 3 for check in checks for one in check.figures.values())
    monkeypatch.setattr(costs, "free_memory", lambda run: 0.1)
    assert levels(costs.check_memory(MINI, "cpu(0)", SMALL)) == [SKIPPED] * 6
    with pytest.raises(RuntimeError, match=r"status 1: .*gpu\(99\)"):
        peak_memory(MINI, "source", "gpu(99)", ())


@pytest.mark.slow
def test_the_days_of_a_table_are_reckoned_from_iterations(monkeypatch):
    monkeypatch.setattr(costs, "CONFIGS", {3: ("mini/gta5",)})
    checks = list(costs.check_speed(ROOT, "cpu(0)", [3], ()))
    assert levels(checks) == [OK] * 5
    rates = [value for check in checks[:4] for value in check.figures.values()]
    assert all(rate > 0.1 for rate in rates)
    assert checks[-1].figures["table 3, days"] > 0


def test_an_error_ends_its_own_checks_alone(monkeypatch, tmp_path):
    def fails(*_):
        yield Check(OK, "first", "fine")
        raise mx.base.MXNetError("long\nthe last line")

    def nothing(*_):
        yield from ()

    for name in ("check_outputs", "check_stages", "check_memory"):
        monkeypatch.setattr(examination, name, nothing)
    monkeypatch.setattr(examination, "check_steps", fails)
    monkeypatch.setattr(examination, "check_speed", lambda *_: iter([Check(OK, "speed", "<b>&")]))
    checks = list(check_device(ROOT, ["cpu(0)"]))
    assert [(check.level, check.text) for check in checks[1:]] == [
        (OK, "fine"),
        (FAILED, "the last line"),
        (OK, "<b>&"),
    ]
    page = write_device_report(tmp_path / "out", ["cpu(0)"], checks, 1.0)
    text = page.read_text()
    assert "&lt;b&gt;&amp;" in text
    assert "1 of 4 checks failed" in re.sub(r"\s+", " ", text)
    record = json.loads((page.parent / "gpu-report.json").read_text())
    assert record["failed"] == 1
    assert [one["what"] for one in record["checks"]] == ["device", "first", "error", "speed"]


def test_checks_that_are_not_wanted_are_not_made(monkeypatch):
    monkeypatch.setattr(examination, "check_steps", lambda *_: iter([Check(OK, "one step", "fine")]))
    checks = list(check_device(ROOT, ["cpu(0)"], wanted=["steps"]))
    assert [check.what for check in checks] == ["device", "one step"]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("gpu(7)", "gpu(7)"),
        ("nonsense", "expected gpu(0)"),
        ("auto", "expected gpu(0)"),
        ("cpu(0),x", "expected gpu(0)"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(devices, message, tmp_path):
    command = [
        sys.executable,
        str(ROOT / "tools" / "check_gpu.py"),
        "--devices",
        devices,
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_check_that_there_is_not_is_one_line():
    with pytest.raises(UserError, match="--checks step: expected some of outputs, steps, stages, memory, speed"):
        importlib.import_module("check_gpu").main(["--devices", "cpu(0)", "--checks", "step"])


@pytest.mark.slow
def test_the_whole_check_on_a_cpu(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "check_gpu.py"), "--devices", "cpu(0)", "--tables", "none"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "gpu-report.json").read_text())["failed"] == 0


@pytest.mark.gpu
@pytest.mark.skipif(not mx.context.num_gpus(), reason="there is no GPU")
def test_the_whole_check_on_the_gpus(tmp_path):
    devices = ",".join(f"gpu({index})" for index in range(mx.context.num_gpus()))
    command = [sys.executable, str(ROOT / "tools" / "check_gpu.py"), "--devices", devices, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
