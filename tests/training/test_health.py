"""What goes wrong in a training stops it with its cause, and what was learnt until then is kept."""

import json
import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, opened
from interrupted import assert_same
from mxnet import nd
from PIL import Image
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.data import Loader
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.checkpoint import read_checkpoint
from gluon_madapt.training.distributed import Distributed


@pytest.fixture
def world(tmp_path):
    """A mini world of the test's own, to break."""
    make_miniworld(tmp_path / "world", seed=3, gta5=6, synthia=1, train=4, val=2)
    return tmp_path / "world"


def at_iteration(number, monkeypatch, change):
    """Have something happen to the step of an iteration, in ``change(parts)``."""
    divide, calls = Distributed.divide, []

    def dividing(self, batches):
        parts = divide(self, batches)
        calls.append(None)
        return change(parts) if len(calls) == number else parts

    monkeypatch.setattr(Distributed, "divide", dividing)


def test_a_loss_that_is_not_finite_stops_and_names_iteration_samples_and_checkpoint(tiny_world, tmp_path, monkeypatch):
    at_iteration(4, monkeypatch, lambda parts: [one._replace(weight=np.nan) for one in parts])
    run = Run(small_experiment(tiny_world, iterations=9), tmp_path)
    with pytest.raises(FailureError) as caught:
        train_source(run)
    text = str(caught.value)
    assert "source: the segmentation loss is nan in iteration 4, of " in text
    names = text.split("iteration 4, of ")[1].split(":", maxsplit=1)[0].split(", ")
    assert len(names) == 2
    assert all((tiny_world / "gta5" / "images" / name).exists() for name in names)
    path = tmp_path / "source" / "checkpoint.npz"
    assert f"the last good checkpoint is {path}, after iteration 2" in text
    assert all(np.isfinite(value).all() for value in read_checkpoint(path).arrays.values())
    assert read_checkpoint(path).meta["iteration"] == 2


def test_a_gradient_that_is_not_finite_stops_likewise(tiny_world, tmp_path, monkeypatch):
    """The loss of iteration 3 is fine, and so would the state be that the next checkpoint holds: but for this check."""
    step, calls = Distributed.step, []

    def spoiling(self, name, trainer):
        calls.append(None)
        if len(calls) == 4:
            trainer._params[0].list_grad()[0][0] = np.inf
        step(self, name, trainer)

    monkeypatch.setattr(Distributed, "step", spoiling)
    with pytest.raises(FailureError, match="a gradient of segmenter is not finite in iteration 4, of .* iteration 2"):
        train_source(Run(small_experiment(tiny_world, iterations=4), tmp_path))
    path = tmp_path / "source" / "checkpoint.npz"
    assert read_checkpoint(path).meta["iteration"] == 2


def test_the_iteration_that_is_named_is_the_one_whatever_is_logged(tiny_world, tmp_path, monkeypatch):
    """Losses and gradients are read an iteration later, and may not be taken for those of the next one."""
    step, calls = Distributed.step, []

    def spoiling(self, name, trainer):
        calls.append(None)
        if len(calls) == 3:
            trainer._params[0].list_grad()[0][0] = np.inf
        step(self, name, trainer)

    monkeypatch.setattr(Distributed, "step", spoiling)
    experiment = small_experiment(
        tiny_world, "bookkeeping={log_every: 20, eval_every: 0, checkpoint_every: 20}", iterations=9
    )
    with pytest.raises(FailureError, match="a gradient of segmenter is not finite in iteration 3"):
        train_source(Run(experiment, tmp_path))


def test_what_was_learnt_is_saved_when_the_val_images_are_broken(world, tmp_path):
    broken = sorted((world / "cityscapes" / "leftImg8bit" / "val").glob("*/*.png"))[0]
    broken.write_bytes(broken.read_bytes()[:-50])
    experiment = small_experiment(world, "bookkeeping={log_every: 1, eval_every: 2, checkpoint_every: 2}", iterations=4)
    with pytest.raises(UserError, match=f"{broken}: not readable"):
        train_source(Run(experiment, tmp_path / "run"))
    assert read_checkpoint(tmp_path / "run" / "source" / "checkpoint.npz").meta["iteration"] == 2


def test_a_discriminators_gradient_is_looked_at_too(tiny_world, tmp_path, monkeypatch):
    experiment = small_experiment(tiny_world, iterations=2)
    train_source(Run(experiment, tmp_path))
    step = Distributed.step

    def spoiling(self, name, trainer):
        if name == "D2":
            trainer._params[0].list_grad()[0][0] = np.nan
        step(self, name, trainer)

    monkeypatch.setattr(Distributed, "step", spoiling)
    with pytest.raises(
        FailureError, match="a gradient of D2 is not finite in iteration 1.*no checkpoint has been saved"
    ):
        train_adversarial(Run(experiment, tmp_path))


def test_a_file_that_vanishes_stops_after_what_was_learnt_is_saved(world, tmp_path, monkeypatch):
    experiment = small_experiment(world, "bookkeeping.checkpoint_every=1000", iterations=50)
    victim = sorted((world / "gta5" / "images").glob("*.png"))[0]
    divide, calls = Distributed.divide, []

    def vanishing(self, batches):
        calls.append(None)
        if len(calls) == 3:
            victim.unlink()
        return divide(self, batches)

    monkeypatch.setattr(Distributed, "divide", vanishing)
    with pytest.raises(UserError, match=f"{victim}: cannot be read"):
        train_source(Run(experiment, tmp_path / "run"))
    assert read_checkpoint(tmp_path / "run" / "source" / "checkpoint.npz").meta["iteration"] == len(calls)


def test_broken_samples_are_replaced_by_the_next_ones_and_counted(world, tmp_path, caplog):
    images = sorted((world / "gta5" / "images").glob("*.png"))
    labels = sorted((world / "gta5" / "labels").glob("*.png"))
    images[0].write_bytes(b"")
    labels[2].write_bytes(labels[2].read_bytes()[:100])
    experiment = small_experiment(world, "data.on_error=skip", iterations=6)
    train_source(Run(experiment, tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "source" / "metrics.json").read_text())
    # Twelve samples are two epochs of six: each broken one comes up twice, and again where it is next to the other.
    assert set(metrics["replaced"]) == {images[0].name, images[2].name}
    assert all(2 <= times <= 4 for times in metrics["replaced"].values())
    assert caplog.text.count("the next sample takes its place") == 2, "said once for each file"


def test_replacements_are_counted_across_a_restart_and_the_model_is_the_same(world, tmp_path):
    sorted((world / "gta5" / "images").glob("*.png"))[0].write_bytes(b"")
    experiment = small_experiment(world, "data.on_error=skip", iterations=6)
    train_source(Run(experiment, tmp_path / "straight"))
    record = SimpleNamespace(calls=0, divide=Distributed.divide)

    def failing(self, batches):
        record.calls += 1
        if record.calls == 6:
            raise KeyboardInterrupt
        return record.divide(self, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distributed, "divide", failing)
        with pytest.raises(KeyboardInterrupt):
            train_source(Run(experiment, tmp_path / "stopped"))
    train_source(Run(experiment, tmp_path / "stopped"))
    one, two = ((tmp_path / name / "source") for name in ("straight", "stopped"))
    assert (one / "checkpoint.npz").read_bytes() == (two / "checkpoint.npz").read_bytes()
    replaced = [json.loads((folder / "metrics.json").read_text())["replaced"] for folder in (one, two)]
    assert replaced[0] == replaced[1] != {}


def test_when_every_sample_is_broken_it_stops(world, tmp_path):
    for path in (world / "gta5" / "images").glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="and so it is with all 6 samples"):
        train_source(Run(small_experiment(world, "data.on_error=skip"), tmp_path / "run"))


def test_a_target_image_that_is_broken_gets_no_proxies_and_stage_4_does_without(world, tmp_path):
    experiment = small_experiment(world, "data.on_error=skip", iterations=1)
    run = tmp_path / "run"
    train_source(Run(experiment, run))
    train_adversarial(Run(experiment, run))
    broken = sorted((world / "cityscapes" / "leftImg8bit" / "train").glob("*/*.png"))[1]
    broken.write_bytes(broken.read_bytes()[:50])
    make_proxies(Run(experiment, run))
    metrics = json.loads((run / "proxies" / "metrics.json").read_text())
    assert metrics["images"] == 3
    assert metrics["left_out"] == [f"{broken.parent.name}/{broken.name}"]
    retrain(Run(experiment, run))
    assert json.loads((run / "retrain" / "metrics.json").read_text())["images"] == 3
    with pytest.raises(UserError, match=f"{broken}: not readable as an image"):
        make_proxies(Run(small_experiment(world, iterations=1), run, fresh=True))


def test_without_skip_a_broken_sample_is_an_error(world):
    path = sorted((world / "gta5" / "images").glob("*.png"))[0]
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match=f"{path}: not readable"):
        train_source(Run(small_experiment(world), world.parent / "run"))


def stage_1(world, folder, iterations=4):
    words = [word for one in small_settings(world, iterations) for word in ("--set", one)]
    tool = [sys.executable, str(ROOT / "tools" / "train_source.py")]
    return [*tool, "--config", str(CONFIG), "--run-dir", str(folder), *words]


def ended(command, **options):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, **options)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def no_larger_than(limit):
    """Have the files of a process not grow beyond a limit: a disk that is full at a certain byte."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}


@pytest.mark.parametrize("limit", [200_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (20_000, 2_000_000))])
def test_a_disk_that_fills_up_stops_it_with_nothing_corrupted(tiny_world, tmp_path, limit):
    done = ended(stage_1(tiny_world, tmp_path / "full"), **no_larger_than(limit))
    assert done.returncode == 2, done.stderr
    assert "checkpoint.npz: cannot be written (File too large)" in done.stderr
    left = {path.name for path in (tmp_path / "full" / "source").iterdir()}
    assert left == {"config.yaml", "inputs.json", "log.jsonl"}, "nothing half-written is left"
    done = ended(stage_1(tiny_world, tmp_path / "full"))
    assert done.returncode == 0, "with room again, the same command goes on"
    train_source(Run(small_experiment(tiny_world, iterations=4), tmp_path / "straight"))
    assert_same(*(tmp_path / name / "source" / "checkpoint.npz" for name in ("full", "straight")))


def mounted(options, folder, command):
    """Return a command that runs another one where ``folder`` is a small file system of its own; skip if it cannot."""
    inside = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"']
    folder.mkdir()
    try:
        possible = subprocess.run([*inside, options, str(folder), "true"], check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no unshare")
    if possible.returncode:
        pytest.skip("this user may not mount anything")
    return [*inside, options, str(folder), *command]


@pytest.mark.slow
def test_a_small_file_system_that_fills_up_between_two_checkpoints(tiny_world, tmp_path):
    """There is room for two checkpoints, not for the third beside them; what was saved last is whole."""
    folder = tmp_path / "small"
    command = stage_1(tiny_world, folder, iterations=9)
    keep = ["sh", "-c", '"$@"; status=$?; cp -r "$0" "$0/../kept"; exit $status', str(folder), *command]
    done = ended(mounted("size=22m", folder, keep))
    assert done.returncode == 2, done.stderr
    assert "cannot be written (No space left on device)" in done.stderr
    saved = sorted((tmp_path / "kept" / "source").glob("checkpoint*"))
    assert saved
    assert all(read_checkpoint(path).meta["iteration"] in (2, 4, 6) for path in saved)


def test_a_run_folder_that_cannot_be_written_is_one_line(tiny_world, tmp_path):
    folder = tmp_path / "locked"
    if os.geteuid():  # root may write everywhere
        folder.mkdir(mode=0o555)
        command = stage_1(tiny_world, folder)
    else:
        command = mounted("ro", folder, stage_1(tiny_world, folder))
    done = ended(command)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (" in done.stderr


def test_a_log_that_cannot_be_written_is_one_line(tiny_world, tmp_path):
    (tmp_path / "source" / "log.jsonl").mkdir(parents=True)
    (tmp_path / "source" / "config.yaml").write_text(small_experiment(tiny_world).to_yaml())
    with pytest.raises(UserError, match=r"log\.jsonl: cannot be (read|written)"):
        train_source(Run(small_experiment(tiny_world), tmp_path))


def test_replacing_is_decided_by_the_order_alone(tmp_path):
    """Whatever thread comes first, the same samples stand in."""
    from gluon_madapt.config import Input

    rng = np.random.default_rng(0)
    for index in range(7):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype("u1")).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "4.png").write_bytes(b"")
    dataset = opened("folder", tmp_path, "train")
    options = {"batch_size": 2, "seed": 1, "stream": "x", "labelled": False, "replace_broken": True}
    runs = [list(Loader(dataset, Input(), threads=threads, **options).batches(0, 14)) for threads in (1, 4)]
    assert [one.names for one in runs[0]] == [one.names for one in runs[1]]
    assert [one.replaced for one in runs[0]] == [one.replaced for one in runs[1]]
    assert not {"3.png", "4.png"} & {name for one in runs[0] for name in one.names}
    for one, other in zip(*runs):
        np.testing.assert_array_equal(one.images, other.images)
    nd.waitall()
