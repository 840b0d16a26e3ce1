"""The mini world's trees: their formats, read without the package's own readers, and what the scenes show."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from gluon_madapt.errors import UserError
from gluon_madapt.labels import KNOWN_IDS, class_set, decode_ids, label_map
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.miniworld.geometry import LABELS, RAW_OFFSET
from gluon_madapt.miniworld.trees import draw

COUNTS = {"gta5": 4, "synthia": 4, "train": 5, "val": 3}
DOMAINS = ("gta5", "synthia", "cityscapes/train", "cityscapes/val")


def digests(root: Path) -> dict:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("miniworld") / "world"
    assert make_miniworld(out, seed=1, **COUNTS)
    return out


@pytest.fixture(scope="module")
def labels() -> dict:
    """Labels of 40 scenes of every tree, as drawn."""
    return {domain: [draw(domain, 1, i)[1] for i in range(40)] for domain in DOMAINS[:3]}


def test_gta5_labels_are_indexed_with_cityscapes_ids_and_colours(world):
    names = sorted(path.name for path in (world / "gta5/images").iterdir())
    assert names == ["00001.png", "00002.png", "00003.png", "00004.png"]
    classes = class_set(19)
    for name in names:
        image, label = Image.open(world / "gta5/images" / name), Image.open(world / "gta5/labels" / name)
        assert (image.mode, label.mode) == ("RGB", "P")
        assert image.size == label.size == (240, 132)
        assert set(np.unique(np.array(label))) <= set(KNOWN_IDS["gta5"])
        palette = np.array(label.getpalette()).reshape(-1, 3)
        np.testing.assert_array_equal(palette[list(classes.label_ids["gta5"])], classes.palette)


def test_synthia_labels_hold_the_class_in_the_red_channel_of_16_bits(world):
    names = sorted(path.name for path in (world / "synthia/RGB").iterdir())
    assert names == [f"{i:07d}.png" for i in range(1, 5)]
    for name in names:
        image = cv2.imread(str(world / "synthia/RGB" / name), cv2.IMREAD_UNCHANGED)
        label = cv2.imread(str(world / "synthia/GT/LABELS" / name), cv2.IMREAD_UNCHANGED)
        assert (image.shape, image.dtype) == ((95, 160, 3), np.uint8)
        assert (label.shape, label.dtype) == ((95, 160, 3), np.uint16)
        assert set(np.unique(label[..., 2])) <= set(KNOWN_IDS["synthia"])
        assert label[..., 1].max() > 0
        # Red first: a bright sky is bluer than it is red.
        assert image[label[..., 2] == 1][:, 0].mean() >= image[label[..., 2] == 1][:, 2].mean()


@pytest.mark.parametrize("split", ["train", "val"])
def test_cityscapes_files_are_named_by_city(world, split):
    root = world / "cityscapes"
    images = sorted((root / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
    assert len(images) == COUNTS[split]
    for path in images:
        city = path.parent.name
        assert path.name.startswith(f"{city}_")
        label_name = path.name.replace("_leftImg8bit", "_gtFine_labelIds")
        image, label = Image.open(path), Image.open(root / "gtFine" / split / city / label_name)
        assert (image.mode, label.mode) == ("RGB", "L")
        assert image.size == label.size == (256, 128)
        assert set(np.unique(np.array(label))) <= set(KNOWN_IDS["cityscapes"])


def test_the_splits_share_no_city(world):
    train, val = ({p.name for p in (world / "cityscapes/gtFine" / split).iterdir()} for split in ("train", "val"))
    assert len(train) >= 2 and len(val) >= 2 and not train & val


def test_raw_ids_outside_the_classes_occur(world):
    ids = [np.array(Image.open(p)) for p in sorted((world / "cityscapes/gtFine").rglob("*.png"))]
    assert {1, 2, 3} <= set(np.unique(ids))


def test_the_same_seed_writes_the_same_bytes_whatever_the_counts(world, tmp_path):
    make_miniworld(tmp_path / "fewer", seed=1, gta5=2, synthia=1, train=3, val=1)
    fewer, all_files = digests(tmp_path / "fewer"), digests(world)
    del fewer["miniworld.json"]
    assert len(fewer) == 2 * 7
    assert fewer == {name: all_files[name] for name in fewer}


def test_another_seed_draws_another_world(world, tmp_path):
    make_miniworld(tmp_path / "other", seed=2, gta5=1, synthia=1, train=1, val=1)
    ours, other = digests(world), digests(tmp_path / "other")
    assert all(ours[name] != other[name] for name in other)


def test_processes_draw_what_one_alone_draws(tmp_path):
    make_miniworld(tmp_path / "many", seed=1, gta5=1, synthia=70, train=0, val=0)
    image, _ = draw("synthia", 1, 69)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "many/synthia/RGB/0000070.png")), image)


@pytest.mark.parametrize("domain", DOMAINS[:3])
def test_every_class_occurs_in_a_fair_share_of_the_images(labels, domain):
    for name in class_set(19).names:
        share = np.mean([(label == LABELS[name]).mean() > 0.001 for label in labels[domain]])
        assert share >= 0.1, f"{name} is in {share:.0%} of the images of {domain}"


@pytest.mark.parametrize("domain", DOMAINS[:3])
def test_labels_are_only_those_that_exist(labels, domain):
    known = set(LABELS.values())
    assert all(set(np.unique(label)) <= known for label in labels[domain])


@pytest.mark.parametrize("domain", DOMAINS[:3])
def test_scenes_are_upright(labels, domain):
    """Sky is above the road, the road is before the camera, and riders sit above what they ride."""
    on_road = []
    for label in labels[domain]:
        rows = np.arange(len(label))[:, None] * np.ones(label.shape)
        assert rows[label == LABELS["sky"]].mean() < rows[label == LABELS["road"]].mean()
        ours = label < RAW_OFFSET
        bottom = np.where(ours, rows, -1).max(axis=0).astype(int)
        columns = np.arange(label.shape[1] // 2 - 12, label.shape[1] // 2 + 12)
        on_road.append((label[bottom[columns] - 2, columns] == LABELS["road"]).mean())
    assert np.mean(on_road) > 0.9  # somebody may cross right before the camera
    riders = np.mean([(label == LABELS["rider"]).nonzero()[0].mean() for label in labels[domain] if 12 in label])
    mounts = [np.isin(label, [LABELS["bicycle"], LABELS["motorcycle"]]) for label in labels[domain] if 12 in label]
    assert riders < np.mean([mount.nonzero()[0].mean() for mount in mounts if mount.any()])


def test_the_real_tree_varies_more_than_the_synthetic_ones_about_a_similar_mean():
    means = {d: np.array([draw(d, 1, i)[0].mean() for i in range(24)]) for d in ("gta5", "cityscapes/train")}
    assert means["cityscapes/train"].std() > means["gta5"].std()
    assert abs(means["cityscapes/train"].mean() - means["gta5"].mean()) < 25


def test_label_ids_decode_to_what_was_drawn(world):
    _, label = draw("gta5", 1, 0)
    decoded = decode_ids(np.array(Image.open(world / "gta5/labels/00001.png")), label_map("gta5", class_set(19)))
    np.testing.assert_array_equal(decoded, np.where(label < RAW_OFFSET, label, 255))


def test_a_second_run_does_nothing(world):
    before = {path: path.stat().st_mtime_ns for path in world.rglob("*")}
    assert not make_miniworld(world, seed=1, **COUNTS)
    assert {path: path.stat().st_mtime_ns for path in world.rglob("*")} == before


def altered(path):
    path.write_bytes(path.read_bytes()[::-1])


def added(path):
    shutil.copy(path, path.with_name("more.png"))


@pytest.mark.parametrize("harm", [altered, added, Path.unlink])
@pytest.mark.parametrize("folder", ["gta5/images", "synthia/GT/LABELS", "cityscapes/gtFine/val"])
def test_a_mini_world_that_was_altered_is_not_taken_for_whole(world, tmp_path, harm, folder):
    shutil.copytree(world, tmp_path / "world")
    assert not make_miniworld(tmp_path / "world", seed=1, **COUNTS)
    harm(min((tmp_path / "world" / folder).rglob("*.png")))
    with pytest.raises(UserError, match="images or labels in it were altered, added or removed: give another --out"):
        make_miniworld(tmp_path / "world", seed=1, **COUNTS)


def test_a_mini_world_that_does_not_say_what_it_holds_is_left_as_it_is(world, tmp_path):
    shutil.copytree(world, tmp_path / "world")
    record = json.loads((tmp_path / "world" / "miniworld.json").read_text())
    del record["contents"]
    (tmp_path / "world" / "miniworld.json").write_text(json.dumps(record))
    assert not make_miniworld(tmp_path / "world", seed=1, **COUNTS)


def test_an_empty_folder_is_filled_and_nothing_else_is_left(tmp_path):
    (tmp_path / "out").mkdir()
    assert make_miniworld(tmp_path / "out", gta5=1, synthia=0, train=0, val=0)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert json.loads((tmp_path / "out/miniworld.json").read_text())["gta5"] == 1


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_madapt.miniworld.trees.draw", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_miniworld(tmp_path / "out", gta5=1, synthia=0, train=0, val=0)
    assert list(tmp_path.iterdir()) == []


def test_a_different_mini_world_is_refused_and_kept(world):
    before = digests(world)
    with pytest.raises(UserError, match=r"seed is 1, not 7.*another --out, or delete it"):
        make_miniworld(world, seed=7, **COUNTS)
    assert digests(world) == before


def test_a_tree_that_is_missing_is_added_and_one_too_many_is_no_other_world(world, tmp_path):
    out = tmp_path / "out"
    for first in ("gta5", "synthia"):
        assert make_miniworld(out, seed=1, **{name: COUNTS[name] * (name == first) for name in COUNTS})
    assert make_miniworld(out, seed=1, **COUNTS)
    assert digests(out) == digests(world)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    for fewer in ("gta5", "synthia"):
        assert not make_miniworld(out, seed=1, **dict(COUNTS, **{fewer: 0}))
    for fewer, number in (("train", 5), ("val", 3)):
        with pytest.raises(UserError, match=f"{fewer} is {number}, not 0"):
            make_miniworld(out, seed=1, **dict(COUNTS, **{fewer: 0}))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_stopped_while_a_tree_is_added_it_is_as_it_was_and_goes_on(world, tmp_path, monkeypatch):
    def stopped(*given):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    make_miniworld(out, seed=1, **dict(COUNTS, synthia=0))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("gluon_madapt.miniworld.trees._write_record", stopped)
        make_miniworld(out, seed=1, **COUNTS)
    assert not make_miniworld(out, seed=1, **dict(COUNTS, synthia=0))
    assert make_miniworld(out, seed=1, **COUNTS)
    assert digests(out) == digests(world)


def test_what_is_in_the_way_of_a_tree_is_left_alone(tmp_path):
    out = tmp_path / "out"
    make_miniworld(out, seed=1, **dict(COUNTS, synthia=0))
    (out / "synthia").mkdir()
    (out / "synthia" / "mine.png").write_text("mine")
    with pytest.raises(UserError, match=r"synthia: is of no tree of this mini world, and in the way"):
        make_miniworld(out, seed=1, **COUNTS)
    assert [path.name for path in (out / "synthia").iterdir()] == ["mine.png"]
    assert not make_miniworld(out, seed=1, **dict(COUNTS, synthia=0))


def test_negative_counts_are_refused(tmp_path):
    with pytest.raises(UserError, match="val is -1"):
        make_miniworld(tmp_path / "out", val=-1)
    assert list(tmp_path.iterdir()) == []


def test_the_tool_refuses_a_foreign_folder_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    command = [sys.executable, str(ROOT / "tools/make_miniworld.py"), "--out", str(tmp_path)]
    # Where the package is not installed, the tool finds it as the tests do.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "not a mini world" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_tool_says_what_it_wrote(tmp_path):
    command = [sys.executable, str(ROOT / "tools/make_miniworld.py"), "--out", str(tmp_path / "w")]
    command += ["--gta5", "1", "--synthia", "1", "--train", "1", "--val", "1"]
    for expected in ("wrote", "already holds"):
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
        )
        assert expected in done.stdout and done.stdout.count("\n") == 1
