"""Labels that hold train ids under the names of label ids are found by what they hold."""

import shutil

import numpy as np
import pytest
from broken_images import encoded
from PIL import Image
from small_experiments import small_experiment

from gluon_madapt.data import mix_ups
from gluon_madapt.data.mix_ups import refuse_train_ids, train_ids_in
from gluon_madapt.doctor import ERROR, WARNING, examine
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import score_stage, scorer_along_the_way
from gluon_madapt.labels import class_set
from gluon_madapt.proxy_maps.inputs import truth_of
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.stages import Run, train_adversarial, train_source


@pytest.fixture
def world(tiny_world, tmp_path):
    return shutil.copytree(tiny_world, tmp_path / "world")


def labels_of(world, which):
    pattern = {"source": "gta5/labels/*.png", "target": "cityscapes/gtFine/train/*/*.png"}
    return sorted(world.glob(pattern.get(which, "cityscapes/gtFine/val/*/*.png")))


def rewrite(paths, change):
    for path in paths:
        with Image.open(path) as image:
            ids = np.asarray(image).copy()
        path.write_bytes(encoded(change(ids)))


def as_train_ids(classes):
    """Return what turns label ids into train ids, as the scripts of Cityscapes do."""
    table = np.full(256, 255, np.uint8)
    table[list(class_set(classes).label_ids["cityscapes"])] = np.arange(classes)
    return lambda ids: table[ids]


def suspicion(world, which):
    run = Run(small_experiment(world), world.parent / "run")
    return train_ids_in(run.experiment, which, run.dataset(which, labelled=True))


@pytest.mark.parametrize("classes", [19, 16])
@pytest.mark.parametrize("which", ["source", "target", "val"])
def test_train_ids_are_told_from_label_ids(which, classes, world):
    assert suspicion(world, which) is None
    paths = labels_of(world, which)
    rewrite(paths, as_train_ids(classes))
    found = suspicion(world, which)
    assert found.certain
    assert f"its labels hold train ids in place of label ids: in all {len(paths)} files" in found.text
    assert f"data.{which}.ids" in found.text


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({0: 0}, None),  # all are of nothing, which others say
        ({255: 255}, None),
        ({7: 7, 26: 26}, None),
        ({7: 7, 8: 8}, False),  # road and sidewalk; or traffic sign and vegetation
        ({0: 0, 13: 13}, False),  # fence; or road and car
        ({0: 0, 10: 10}, True),  # road and sky; nobody labels rail tracks alone
        ({18: 18, 255: 255}, True),
        ({19: 19, 0: 10}, None),
    ],
)
def test_what_a_split_may_hold(ids, expected, world):
    values = np.array(list(ids), np.uint8)
    rewrite(labels_of(world, "val"), lambda old: values[np.arange(old.size).reshape(old.shape) % len(values)])
    found = suspicion(world, "val")
    assert (found and found.certain) == expected


def test_one_label_id_in_the_last_file_is_enough(world, monkeypatch):
    monkeypatch.setattr(mix_ups, "_READ_FIRST", 2)
    paths = labels_of(world, "source")
    for place in range(len(paths)):
        whole = [path.read_bytes() for path in paths]
        rewrite([*paths[:place], *paths[place + 1 :]], as_train_ids(19))
        assert suspicion(world, "source") is None
        for path, content in zip(paths, whole):
            path.write_bytes(content)


def test_of_label_ids_few_files_are_read(world, monkeypatch):
    read = []
    original = mix_ups.read_label_ids
    monkeypatch.setattr(mix_ups, "read_label_ids", lambda path: read.append(path) or original(path))
    assert suspicion(world, "source") is None
    assert len(read) == 1


def test_a_file_that_cannot_be_read_is_passed_over(world):
    paths = labels_of(world, "val")
    paths[0].write_bytes(paths[0].read_bytes()[:-20])
    rewrite(paths[1:], as_train_ids(19))
    assert suspicion(world, "val").certain


def test_ids_that_the_experiment_states_are_what_they_are(world):
    rewrite(labels_of(world, "val"), as_train_ids(19))
    names = class_set(19).names
    ids = ", ".join(f"{name}: [{train_id}]" for train_id, name in enumerate(names))
    own = f"data.val={{dataset: cityscapes, root: {world}/cityscapes, split: val, ids: {{{ids}}}}}"
    folders = f"root: {world}/cityscapes/leftImg8bit/val, labels: {world}/cityscapes/gtFine/val"
    suffixes = "image_suffix: _leftImg8bit.png, label_suffix: _gtFine_labelIds.png"
    plain = f"data.val={{dataset: folder, {folders}, {suffixes}, ids: {{{ids}}}}}"
    for stated in (own, plain):
        run = Run(small_experiment(world, stated), world.parent / "run")
        dataset = run.dataset("val", labelled=True)
        refuse_train_ids(run.experiment, "val", dataset)
        assert set(np.unique(dataset.label(0))) > {0, 255}


def test_scores_trainings_and_audits_refuse_them(world):
    for which in ("source", "target", "val"):
        rewrite(labels_of(world, which), as_train_ids(19))
    run = Run(small_experiment(world, "bookkeeping.eval_every=1"), world.parent / "run")
    for stage, which in (
        (lambda: train_source(run), "source"),
        (lambda: train_adversarial(run), "source"),
        (lambda: scorer_along_the_way(run, "source"), "val"),
        (lambda: score_stage(run, new_segmenter(run), "source", multi_scale=False), "val"),
        (lambda: truth_of(run, run.dataset("target", labelled=False)), "target"),
    ):
        with pytest.raises(UserError, match=rf"hold train ids in place of label ids.*data\.{which}\.ids"):
            stage()
    assert not (world.parent / "run" / "source").exists()


def test_what_is_not_certain_is_a_warning(world, caplog):
    rewrite(labels_of(world, "val"), lambda old: np.where(old == 7, 7, 8).astype(np.uint8))
    run = Run(small_experiment(world), world.parent / "run")
    refuse_train_ids(run.experiment, "val", run.dataset("val", labelled=True))
    assert "may hold train ids in place of label ids" in caplog.text


def findings(world, level, full):
    found = examine(Run(small_experiment(world), world.parent / "run"), full)
    return {one.what: one.text for one in found if one.level == level and "labels" in one.text}


def test_the_doctor_says_so(world):
    rewrite(labels_of(world, "val"), as_train_ids(19))
    rewrite(labels_of(world, "source"), lambda old: np.where(old == 7, 7, 8).astype(np.uint8))
    for full in (False, True):
        assert "its labels hold train ids" in findings(world, ERROR, full)["data.val"]
        assert "its labels may hold train ids" in findings(world, WARNING, False)["data.source"]


@pytest.mark.parametrize("which", ["source", "val"])
def test_a_class_without_a_pixel_in_all_of_the_labels_is_a_warning(which, world):
    rewrite(labels_of(world, which), lambda old: np.where(old == 23, 0, old).astype(np.uint8))
    text = findings(world, WARNING, full=True)[f"data.{which}"]
    assert "none there of" in text
    assert "sky" in text.split("none there of")[1]
    assert f"data.{which}" not in findings(world, WARNING, full=False)
    rewrite(labels_of(world, which), np.zeros_like)
    assert "no pixel of its labels is of any" in findings(world, ERROR, full=True)[f"data.{which}"]


def test_one_folder_of_train_ids_among_others_is_found(world):
    label = labels_of(world, "target")[0]
    images = world / "cityscapes" / "leftImg8bit" / "train"
    image = next((images / label.parent.name).glob("*.png"))
    city = label.parent.parent / "somewhere"
    for number in range(mix_ups._MANY):
        for path, folder, suffix in ((label, city, "gtFine_labelIds"), (image, images / city.name, "leftImg8bit")):
            folder.mkdir(exist_ok=True)
            shutil.copy(path, folder / f"somewhere_{number:06d}_000019_{suffix}.png")
    assert suspicion(world, "target") is None
    converted = sorted(city.glob("*.png"))
    rewrite(converted, as_train_ids(19))
    found = suspicion(world, "target")
    assert found.certain
    assert found.text.startswith(f"{city}: its labels hold train ids")
    assert f"in all {len(converted)} files" in found.text
    for path in converted[1:]:
        path.unlink()
        (images / city.name / path.name.replace("gtFine_labelIds", "leftImg8bit")).unlink()
    assert not suspicion(world, "target").certain  # one file may be of a place without sky, trees and cars
