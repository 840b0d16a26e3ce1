"""What is found before days are spent: one line each, and a status that says whether to begin."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.data.layouts import PUBLISHED_COUNTS
from gluon_madapt.doctor import ERROR, OK, WARNING, examine, images, machine
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.stages import Run


@pytest.fixture
def world(tmp_path):
    make_miniworld(tmp_path / "world", seed=3, gta5=6, synthia=2, train=4, val=2)
    return tmp_path / "world"


def found(world, *overrides, full=False):
    """Return the findings by what was looked at, and all their texts."""
    by_name = {}
    for finding in examine(Run(small_experiment(world, *overrides), world.parent / "run"), full):
        assert "\n" not in str(finding)
        by_name.setdefault(finding.what, []).append(finding)
    return by_name


def levels(findings):
    return {finding.level for finding in findings}


def texts(findings, level):
    return " | ".join(finding.text for finding in findings if finding.level == level)


def test_a_world_that_is_whole(world, monkeypatch):
    monkeypatch.setattr(images, "PUBLISHED_COUNTS", {})
    monkeypatch.setattr(images, "PUBLISHED_SIZES", {})
    by_name = found(world, "adversarial.target_input={size: [384, 192]}")
    assert set(by_name) == {"packages", "device", "memory", "weights", "data.source", "data.target", "data.val", "disk"}
    assert all(levels(findings) == {OK} for findings in by_name.values()), by_name
    assert "6 pairs of gta5 train" in by_name["data.source"][0].text
    assert "labels: " in texts(by_name["data.val"], OK)
    assert not any("labels: " in finding.text for finding in by_name["data.target"]), "the target's are never read"


def test_counts_and_sizes_other_than_the_published_ones_are_warnings(world):
    by_name = found(world)
    assert f"the published data set has {PUBLISHED_COUNTS['gta5', 'train']}" in texts(by_name["data.source"], WARNING)
    assert "the published images are 2048x1024" in texts(by_name["data.target"], WARNING)


def test_broken_files_are_errors_and_named(world):
    path = sorted((world / "gta5" / "images").glob("*.png"))[0]
    path.write_bytes(path.read_bytes()[:100])
    label = sorted((world / "cityscapes" / "gtFine" / "val").glob("*/*_labelIds.png"))[0]
    with Image.open(label) as image:
        ids = np.asarray(image).copy()
    ids[0, 0] = 99
    Image.fromarray(ids).save(label)
    by_name = found(world)
    assert f"1 of them broken: {path}" in texts(by_name["data.source"], ERROR)
    assert f"{label}: holds label ids that cityscapes does not have (99)" in texts(by_name["data.val"], ERROR)


def test_a_sample_finds_what_full_finds_in_all(world, monkeypatch):
    monkeypatch.setattr(images, "_SAMPLED", 2)
    path = sorted((world / "gta5" / "labels").glob("*.png"))[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert ERROR not in levels(found(world)["data.source"])
    assert f"all 6 read, 1 of them broken: {path}" in texts(found(world, full=True)["data.source"], ERROR)


def test_pairs_without_a_partner(world):
    label = sorted((world / "gta5" / "labels").glob("*.png"))[0]
    label.with_name("stray.png").write_bytes(label.read_bytes())
    assert "1 labels have no image: " in texts(found(world)["data.source"], WARNING)
    label.unlink()
    assert "has no label, expected" in texts(found(world)["data.source"], ERROR)


def test_labels_of_no_class(world):
    for path in (world / "cityscapes" / "gtFine" / "val").glob("*/*_labelIds.png"):
        with Image.open(path) as image:
            size = image.size
        Image.new("L", size, 0).save(path)
    assert "no pixel of its labels is of any of the 19 classes" in texts(found(world)["data.val"], ERROR)


def test_missing_folders_weights_and_val(world):
    by_name = found(world, "data.target.root=nowhere", "data.val=null", "model.weights=no.params")
    assert "nowhere: no such folder" in texts(by_name["data.target"], ERROR)
    assert "nothing can be scored" in texts(by_name["data.val"], WARNING)
    by_name = found(world, "model={encoder: vgg16, weights: no.params}")
    assert "no.params: no such file" in texts(by_name["weights"], ERROR)


def test_weights_that_fit_are_fine(world, tmp_path):
    import mxnet as mx

    from gluon_madapt.models import Segmenter
    from gluon_madapt.training.checkpoint import parameter_values
    from gluon_madapt.weights.gluon_files import write_arrays

    net = Segmenter("resnet101", 19)
    net.initialize()
    net(mx.nd.zeros((1, 3, 64, 64)))
    stages = tuple(f"{name}." for name in net.encode.stages)
    encoder = {key: value for key, value in parameter_values(net).items() if key.startswith(stages)}
    write_arrays(tmp_path / "encoder.params", encoder)
    by_name = found(world, f"model={{encoder: resnet101, weights: '{tmp_path}/encoder.params'}}")
    assert "all parameters of resnet101" in texts(by_name["weights"], OK), by_name["weights"]


def test_what_a_training_would_refuse_is_an_error(world):
    by_name = found(world, "data.val=null", "bookkeeping.eval_every=5")
    assert "there is nothing to score" in texts(by_name["training"], ERROR)
    by_name = found(world, "devices=[cpu(0), cpu(1), cpu(2)]")
    assert "3 cannot share a batch of 2" in texts(by_name["training"], ERROR)


def test_discriminators_that_see_few_places_are_a_warning(world):
    assert "discriminators" not in found(world, "adversarial.target_input={size: [384, 192]}")
    few = found(world, "adversarial.target_input={size: [352, 192]}")["discriminators"]
    assert [finding.text[:11] for finding in few] == ["D1 has 11 c", "D2 has 11 c"]
    assert levels(few) == {WARNING}
    assert "of 64 pixels" in found(world)["discriminators"][0].text
    finer = ("adversarial.target_input={size: [192, 96]}", "adversarial.output_stride=8")
    assert "discriminators" not in found(world, *finer)
    assert len(found(world, "adversarial.discriminators=1")["discriminators"]) == 1
    assert "discriminators" not in found(world, "adversarial.discriminators=0")


def test_memory_and_disk_that_do_not_suffice(world, monkeypatch):
    by_name = found(world, "retrain.batch_size=60000", "retrain.input.crop=[640, 640]")
    assert "retrain.accumulate higher" in texts(by_name["memory"], ERROR)
    assert "set retrain.recompute to true, which changes no result; or retrain.batch_size lower" in texts(
        by_name["memory"], ERROR
    )
    twice = found(world, "retrain.batch_size=60000", "retrain.input.crop=[640, 640]", "retrain.recompute=true")
    assert "recompute" not in texts(twice["memory"], ERROR)
    vgg16 = found(world, "retrain.batch_size=60000", "retrain.input.crop=[640, 640]", "model.encoder=vgg16")
    assert "recompute" not in texts(vgg16["memory"], ERROR), "it saves next to nothing there"
    usage = machine.shutil.disk_usage(world)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert "make room" in texts(found(world)["disk"], ERROR)


def test_a_package_of_another_version(world, monkeypatch):
    version = machine.metadata.version
    monkeypatch.setattr(machine.metadata, "version", lambda name: "2.1.0" if name == "numpy" else version(name))
    assert "numpy is 2.1.0 (asked for: <2)" in texts(found(world)["packages"], ERROR)


def run_tool(world, *overrides):
    words = [word for one in (*small_settings(world), *overrides) for word in ("--set", one)]
    command = [
        sys.executable,
        str(ROOT / "tools" / "doctor.py"),
        "--config",
        str(CONFIG),
        "--run-dir",
        str(world / "run"),
    ]
    return subprocess.run([*command, *words], check=False, capture_output=True, text=True, timeout=300)


def test_the_tool_ends_with_1_on_an_error_and_0_on_warnings(world):
    done = run_tool(world)
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("0 errors, ")
    assert not (world / "run").exists(), "it leaves nothing behind"
    done = run_tool(world, "data.val.root=nowhere")
    assert done.returncode == 1
    assert "error    data.val       nowhere: no such folder" in done.stdout


def test_memory_is_that_of_the_larger_pass_and_less_where_activations_are_computed_twice(world):
    def needed(*overrides):
        inputs = ("source_input={size: [1280, 720]}", "target_input={size: [1024, 512]}", "batch_size=4", *overrides)
        by_name = found(world, *(f"adversarial.{one}" for one in inputs), "model.encoder=resnet101")
        (text,) = [one.text for one in by_name["memory"] if one.text.startswith("adversarial")]
        return float(text.split()[2])

    kept, twice = needed(), needed("recompute=true")
    assert twice < 0.6 * kept
    assert needed("target_input={size: [640, 320]}") == kept
    assert needed("target_input={size: [1280, 720]}", "joint_pass=true") > 1.5 * kept


def test_self_training_needs_no_stage_2_and_sees_both_domains_in_stage_4(world, monkeypatch):
    settings = ["proxies.model=trained", "proxies.p1=1", "retrain.learns_from=source_and_proxies"]
    by_name = found(world, *settings, "retrain.source_input={size: [640, 640]}", "adversarial.lambda_seg=0")
    assert [finding.text.split(":")[0] for finding in by_name["memory"]] == ["source", "retrain"]
    assert "discriminators" not in by_name
    assert not {"training"} & set(by_name), "weights of a stage that is not run are no matter"
    run = Run(small_experiment(world, *settings, "retrain.source_input={size: [640, 640]}"))
    plain = Run(small_experiment(world))
    assert machine.memory_of(run, "retrain") > machine.memory_of(plain, "retrain")
    assert [which for _, which in machine.training_inputs(run, "retrain")] == ["source", "target"]
