"""All stages and tools through their command lines, as a user calls them."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from PIL import Image
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import ConfigError
from gluon_madapt.errors import UserError

SYNTHIA = ROOT / "configs" / "mini" / "synthia.yaml"


def call(tool, *arguments, config=CONFIG, threads=1):
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py")]
    if config is not None:
        command += ["--config", str(config)]
    command += map(str, arguments)
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def run_here(tool, *arguments, config=CONFIG):
    """Run a tool in this process, which saves the seconds that importing MXNet takes."""
    flags = [] if config is None else ["--config", str(config)]
    importlib.import_module(tool).main([*flags, *map(str, arguments)])


def settings(world):
    return [word for one in small_settings(world) for word in ("--set", one)]


def test_a_notebooks_own_backend_is_nothing_to_a_tool():
    # Where a tool is called from a notebook's cell, Matplotlib is told of a module that this environment has not.
    environment = dict(os.environ, MPLBACKEND="module://matplotlib_inline.backend_inline")
    command = [sys.executable, "-c", "import gluon_madapt.cli.command, matplotlib"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def run(tiny_world, tmp_path_factory):
    """A run folder with all four stages, and the arguments that name it."""
    folder = tmp_path_factory.mktemp("run")
    arguments = ["--run-dir", folder, *settings(tiny_world)]
    for tool, more in (
        ("train_source", ()),
        ("train_adv", ()),
        ("make_proxy", ("--p1", "0.5", "--p2", "0.9")),
        ("train_proxy", ()),
    ):
        done = call(tool, *arguments, *more)
        assert done.returncode == 0, done.stderr
    return folder, arguments


def assert_one_line_error(done, *parts):
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in lines[0]


def assert_refused(tool, *arguments, parts, **options):
    with pytest.raises((UserError, ConfigError)) as caught:
        run_here(tool, *arguments, **options)
    for part in parts:
        assert part in str(caught.value)


# All tools in one process, in which the first to import MXNet is the one that is named.
HELP_OF_ALL = """
import contextlib, io, runpy, sys
from pathlib import Path
for tool in sorted(Path("tools").glob("*.py")):
    sys.argv = [str(tool), "--help"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(tool), run_name="__main__")
    if "mxnet" in sys.modules or "numba" in sys.modules:
        sys.exit(f"{tool} imports MXNet or Numba before it reads its flags")
"""


def test_help_needs_no_mxnet_which_takes_seconds_to_import():
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "tools"))
    command = [sys.executable, "-c", HELP_OF_ALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_proxies_follow_the_flags(run):
    folder, _ = run
    record = json.loads((folder / "proxies" / "proxies.json").read_text())
    assert record["images"] == 4
    assert (record["p1"], record["p2"]) == (0.5, 0.9)
    assert 0 < record["share_labelled"] < 0.5
    label = next((folder / "proxies" / "labels").rglob("*.png"))
    with Image.open(label) as image:
        assert (image.mode, image.size) == ("L", (256, 128))


def test_a_damaged_checkpoint_is_one_line(run, tmp_path):
    folder, arguments = run
    whole = (folder / "adversarial" / "checkpoint.npz").read_bytes()
    place = whole.rindex(b"PK\x01\x02")
    (tmp_path / "bad.npz").write_bytes(whole[:place] + b"X" + whole[place + 1 :])
    done = call("make_proxy", *arguments, "--run-dir", tmp_path / "run", "--from", tmp_path / "bad.npz")
    assert_one_line_error(done, "bad.npz: is no complete checkpoint of this project")


@pytest.mark.parametrize(
    "more", [(), ("--multi-scale",), ("--stage", "source"), ("--set", "evaluation.adabn_batches=2")]
)
def test_eval_prints_and_writes_scores(run, more, tmp_path):
    _, arguments = run
    done = call("eval", *arguments, *more, "--out", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert re.search(rf"\| mIoU +\| +{scores['miou']:.1f} \|", done.stdout)
    assert len(scores["iou"]) == 19


def test_eval_reads_the_parameter_file_like_the_checkpoint(run, tmp_path):
    folder, arguments = run
    found = []
    for name, more in (("checkpoint.npz", ()), ("segmenter.params", ("--stage", "source"))):
        checkpoint = folder / "source" / name
        done = call("eval", *arguments, "--checkpoint", checkpoint, *more, "--out", tmp_path / "scores.json")
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / "scores.json").read_text()))
    assert found[0]["iou"] == found[1]["iou"]
    protocol = {
        "stage": "source",
        "val": "cityscapes val",
        "short_side": 32,
        "scales": [1.0],
        "mirror": False,
        "adabn": None,
        "precision": "float32",
    }
    assert found[0]["protocol"] == found[1]["protocol"] == protocol
    assert (found[0]["seed"], found[0]["iteration"]) == (1, 3)
    assert found[0]["trained_by"] == [found[0]["scored_by"]]
    assert found[0]["images"] == 2


def test_proxies_start_from_a_parameter_file_with_p1_of_1(run, tiny_world, tmp_path):
    folder, _ = run
    start = ["--from", folder / "adversarial" / "segmenter.params"]
    arguments = ["--run-dir", tmp_path, *settings(tiny_world)]
    assert_one_line_error(call("make_proxy", *arguments, *start), "only p1 = 1 is possible")
    done = call("make_proxy", *arguments, *start, "--p1", "1")
    assert done.returncode == 0, done.stderr


def test_synthia_scores_16_and_13_classes(tiny_world, tmp_path, capsys):
    arguments = ["--run-dir", tmp_path, *settings(tiny_world)]
    arguments += ["--set", f"data.source.root={tiny_world}/synthia"]
    run_here("train_source", *arguments, config=SYNTHIA)
    run_here("eval", *arguments, config=SYNTHIA)
    printed = capsys.readouterr().out
    assert "mIoU* (13 classes)" in printed
    assert "terrain" not in printed


def test_one_discriminator_and_none(run, tiny_world, tmp_path):
    folder, _ = run
    start = ["--from", folder / "source" / "checkpoint.npz"]
    for number in (0, 1):
        arguments = ["--run-dir", tmp_path / str(number), *settings(tiny_world)]
        arguments += ["--set", f"adversarial.discriminators={number}"]
        run_here("train_adv", *arguments, *start)
        if number:
            run_here("make_proxy", *arguments)
        else:
            assert_refused("make_proxy", *arguments, parts=("holds no discriminators", "only p1 = 1 is possible"))
            run_here("make_proxy", *arguments, "--p1", "1")
        assert (tmp_path / str(number) / "proxies" / "metrics.json").is_file()


def test_a_target_without_any_label_folder_will_do(run, tiny_world, tmp_path):
    folder, _ = run
    (tmp_path / "city" / "leftImg8bit").mkdir(parents=True)
    (tmp_path / "city" / "leftImg8bit" / "train").symlink_to(tiny_world / "cityscapes" / "leftImg8bit" / "train")
    arguments = ["--run-dir", tmp_path / "run", *settings(tiny_world)]
    arguments += ["--set", f"data.target.root={tmp_path}/city", "--set", "data.val=null"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "source").symlink_to(folder / "source")
    for tool in ("train_adv", "make_proxy", "train_proxy"):
        run_here(tool, *arguments)
    assert (tmp_path / "run" / "retrain" / "segmenter.params").is_file()


@pytest.mark.slow
def test_two_adversarial_trainings_on_two_threads_end_bitwise_equal(run, tiny_world, tmp_path):
    folder, _ = run
    found = []
    for name in ("first", "second"):
        arguments = ["--run-dir", tmp_path / name, *settings(tiny_world)]
        done = call("train_adv", *arguments, "--from", folder / "source" / "checkpoint.npz", threads=2)
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / name / "adversarial" / "checkpoint.npz").read_bytes())
    assert found[0] == found[1]


def test_a_loss_that_is_not_finite_is_a_failure_and_not_the_users_error(tiny_world, tmp_path):
    done = call("train_source", "--run-dir", tmp_path, *settings(tiny_world), "--set", "source.learning_rate=1e30")
    assert done.returncode == 1
    assert re.search("error: source: (the segmentation loss is nan|a gradient of segmenter is not finite)", done.stderr)
    assert "Traceback" not in done.stderr


def test_errors_that_the_user_can_mend(run, tiny_world, tmp_path):
    _, arguments = run
    mini = settings(tiny_world)
    empty = ["--run-dir", tmp_path / "empty"]
    half = {name: tmp_path / f"half-{name}" for name in ("checkpoint.npz", "segmenter.params")}
    for name, path in half.items():
        whole = (run[0] / "source" / name).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    no_label_val = tmp_path / "city"
    shutil.copytree(tiny_world / "cityscapes", no_label_val)
    next(no_label_val.glob("gtFine/val/*/*_labelIds.png")).unlink()
    no_label = tmp_path / "no_label"
    shutil.copytree(tiny_world / "gta5", no_label)
    (no_label / "labels" / "00001.png").unlink()
    cases = [
        (("train_source", *empty, *mini, "--set", "source.iteration=3"), ("source.iteration", "source.iterations?")),
        (("train_source", *empty, *mini, "--set", "data.source.root=/nowhere"), ("/nowhere", "images/*.png")),
        (("train_source", *empty, *mini, "--set", "model.weights=/no.params"), ("/no.params", "small")),
        (("train_adv", *empty, *mini), ("source/checkpoint.npz", "tools/train_source.py")),
        (("make_proxy", *empty, *mini), ("adversarial/checkpoint.npz", "tools/train_adv.py")),
        (("train_proxy", *empty, *mini), ("proxies/metrics.json", "tools/make_proxy.py")),
        (("eval", *empty, *mini), ("holds no checkpoint", "tools/train_source.py")),
        (("train_source", *empty, *mini, "--set", f"data.source.root={tmp_path}"), ("holds no images of gta5",)),
        (("train_source", *empty, *mini, "--set", f"data.source.root={no_label}"), ("has no label", "00001.png")),
        (("train_source", *empty, *mini, "--set", "bookkeeping.eval_every=1", "--set", "data.val=null"), ("data.val",)),
        (("train_source", "--seed", "x", *empty), ("--seed", "invalid int")),
        (
            ("train_proxy", *arguments, "--set", "retrain.init=none", "--from", CONFIG),
            ("--from", "retrain.init is none"),
        ),
        (("eval", *arguments, "--out", tmp_path), ("is a folder",)),
        (("eval", *arguments, "--set", "classes=16"), ("classes 19", "classes 16")),
        (("eval", *arguments, "--set", "model.encoder=vgg16"), ("encoder small", "encoder vgg16")),
        (("eval", *arguments, "--checkpoint", CONFIG), ("gta5.yaml", "no complete MXNet parameter file")),
        *((("eval", *arguments, "--checkpoint", path), (path.name, "is no complete")) for path in half.values()),
        (
            ("eval", *arguments, "--set", f"data.val.root={no_label_val}"),
            ("_leftImg8bit.png: has no label", "gtFine/val"),
        ),
    ]
    for (tool, *flags), parts in cases:
        assert_refused(tool, *flags, parts=parts)
    assert not (tmp_path / "empty").exists(), "nothing is left half-written"
    picture = (tiny_world / "gta5" / "images" / "00001.png").read_bytes()
    for path, content in (("images/00002.png", b"no image"), ("labels/00002.png", picture)):
        broken = tmp_path / f"broken {path[:6]}"
        shutil.copytree(tiny_world / "gta5", broken)
        (broken / path).write_bytes(content)
        flags = ["--run-dir", tmp_path / "r", *mini, "--set", f"data.source.root={broken}"]
        assert_refused("train_source", *flags, parts=(path,))
    assert_one_line_error(call("eval", config="nowhere.yaml"), "nowhere.yaml: cannot be read")
