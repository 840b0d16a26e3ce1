"""Labels among the images, images of two sets, files left out: a warning of the doctor and of the stage."""

import os
import shutil

import numpy as np
import pytest
from broken_images import picture
from PIL import Image
from small_experiments import small_experiment

from gluon_madapt.doctor import WARNING, examine
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.runs.input_checks import set_warnings, shared_with_val
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source

IDS = np.arange(64 * 96, dtype=np.int64).reshape(64, 96) // 500


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if mode == "P":
        image = image.convert("P")
    image.save(path)
    return path


def coloured(ids):
    return np.stack([ids * 7 % 256, ids * 31 % 256, ids * 101 % 256], -1).astype(np.uint8)


@pytest.fixture
def photographs(tmp_path):
    for place in range(12):
        save(tmp_path / "target" / f"{place:02d}_rgb.png", picture(seed=place))
    return tmp_path / "target"


def run_on(target, world, *overrides, folder=None):
    data = f"data.target={{dataset: folder, root: {target}}}"
    return Run(small_experiment(world, data, *overrides, iterations=1), folder)


LABELS = {
    "grey ids in labels/": ("labels/{}.png", IDS.astype(np.uint8), None),
    "a palette in SegmentationClass/": ("SegmentationClass/{}.png", IDS.astype(np.uint8), "P"),
    "colours in gtFine/": ("gtFine/train/ulm/{}_gtFine_color.png", coloured(IDS), None),
    "colours in my-masks/": ("my-masks/{}.bmp", coloured(IDS), None),
    "16 bits in annotations/": ("annotations/{}.png", (IDS * 1000).astype(np.uint16), None),
    "16 bits beside the photographs": ("{}_depth_ids.png", (IDS * 1000).astype(np.uint16), None),
    "grey ids beside the photographs": ("{}_ids.png", IDS.astype(np.uint8), None),
    "a palette anywhere": ("other/{}.png", IDS.astype(np.uint8), "P"),
    "a TIFF in trainannot/": ("trainannot/{}.tif", IDS.astype(np.uint8), None),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_among_photographs_are_told(kind, photographs, tiny_world):
    assert list(set_warnings(run_on(photographs, tiny_world), "target")) == []
    name, pixels, mode = LABELS[kind]
    for place in range(12):
        save(photographs / name.format(f"{place:02d}"), pixels, mode)
    (told,) = set_warnings(run_on(photographs, tiny_world), "target")
    assert told.startswith(f"{photographs}: some of its images look like labels ({photographs}/")
    assert name.split("{}")[1] in told, "a label is named"
    assert "_rgb.png" not in told, "a photograph is not"


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey/{}.png", picture()[:, :, 0]),
        ("grey/{}.jpg", picture()[:, :, 0]),
        ("labels/{}.png", picture()),
        ("unmasked/{}.jpg", picture()),
    ],
)
def test_photographs_are_no_labels_whatever_their_folder(name, pixels, photographs, tiny_world):
    for place in range(12):
        save(photographs / name.format(f"{place:02d}"), pixels)
    assert list(set_warnings(run_on(photographs, tiny_world), "target")) == []


def put_in(kind, image, folder):
    folder.mkdir()
    (folder / "sub").mkdir()
    there = folder / "sub" / "another name.png"
    {"a link": there.symlink_to, "a hard link": lambda one: os.link(one, there)}.get(
        kind, lambda one: shutil.copy(one, there)
    )(image)
    return folder


@pytest.mark.parametrize("kind", ["a copy", "a link", "a hard link"])
def test_images_of_val_that_are_trained_on_are_told_wherever_they_lie(kind, tiny_world, tmp_path):
    val = min((tiny_world / "cityscapes" / "leftImg8bit" / "val").rglob("*.png"))
    run = run_on(put_in(kind, val, tmp_path / "in"), tiny_world)
    assert list(shared_with_val(run, "source")) == []
    (told,) = shared_with_val(run, "target")
    assert told.startswith(
        f"1 images are target images, too ({val} is {tmp_path}/in/sub/another name.png): scores are of"
    )


def test_equal_sizes_alone_are_not_the_same_images(tiny_world, tmp_path):
    val = min((tiny_world / "cityscapes" / "leftImg8bit" / "val").rglob("*.png"))
    content = bytearray(val.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(content)
    assert list(shared_with_val(run_on(tmp_path / "in", tiny_world), "target")) == []


def test_a_val_set_that_is_the_target_or_the_source(tiny_world):
    root = tiny_world / "cityscapes"
    run = Run(small_experiment(tiny_world, f"data.target={{dataset: cityscapes, root: {root}, split: val}}"))
    (told,) = shared_with_val(run, "target")
    assert told.startswith("2 images are target images, too (")
    run = Run(small_experiment(tiny_world, f"data.source={{dataset: cityscapes, root: {root}, split: val}}"))
    (told,) = shared_with_val(run, "source")
    assert told.endswith("scores are of what the model was trained on")
    run = Run(small_experiment(tiny_world, "data.val=null"))
    assert list(shared_with_val(run, "target")) == list(set_warnings(run, "val")) == []


def test_the_doctor_and_every_stage_say_it_once(tiny_world, photographs, tmp_path, caplog):
    """A left-out file, labels among the target and val images among it."""
    (photographs / "a.heic").write_bytes(b"")
    val = min((tiny_world / "cityscapes" / "leftImg8bit" / "val").rglob("*.png"))
    shutil.copy(val, photographs / "z.png")
    for place in range(12):
        save(photographs / "labels" / f"{place:02d}.png", coloured(IDS))
    said = ("1 of kind .heic, which is not read", "look like labels", "1 images are target images, too")
    run = run_on(photographs, tiny_world, folder=tmp_path / "run")
    warnings = [finding.text for finding in examine(run) if finding.level == WARNING]
    assert [sum(text in one for one in warnings) for text in said] == [1, 1, 1]
    expected = {train_source: 0, train_adversarial: 1, make_proxies: 1, retrain: 1}
    for stage, times in expected.items():
        caplog.clear()
        stage(run_on(photographs, tiny_world, folder=tmp_path / "run"))
        assert [sum(text in one for one in caplog.messages) for text in said] == [times] * 3, stage
    caplog.clear()
    net, _ = load_any_segmenter(run, tmp_path / "run" / "retrain" / "checkpoint.npz")
    score_stage(run, net, "retrain", multi_scale=False)
    assert [sum(text in one for one in caplog.messages) for text in said] == [0, 0, 1]
