"""One's own images and classes: folders, label ids and colours, from the class list to a scored model."""

import json

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from small_experiments import INPUT

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.data import class_set_of, label_map_of
from gluon_madapt.data.label_files import read_label
from gluon_madapt.data.layouts import orphaned_labels
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.reproduction.rows import rows_of
from gluon_madapt.runs.trained import load_any_segmenter, load_trained
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source

CONFIG = ROOT / "configs" / "mini" / "own.yaml"


def experiment(*overrides):
    return load_experiment(CONFIG, overrides)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def classes(text):
    return f"classes=[{text}]"


TWO = classes("{name: path, ids: [1, 4]}, {name: sky, ids: [2]}")


@pytest.fixture
def folders(tmp_path):
    """Two labelled images in folders of folders, with names of a form of their own."""
    ids = np.array([[1, 4, 2], [0, 2, 255]], np.uint8)
    for name in ("one", "deeper/two x"):
        save(tmp_path / "images" / f"{name}_rgb.jpg", np.zeros((2, 3, 3), np.uint8))
        save(tmp_path / "labels" / f"{name}_ids.png", ids)
    save(tmp_path / "images" / "one_depth.png", np.zeros((2, 3, 3), np.uint8))
    return tmp_path


def source(folder, more=""):
    data = f"dataset: folder, root: {folder}/images, labels: {folder}/labels"
    return f"data.source={{{data}, image_suffix: _rgb.jpg, label_suffix: _ids.png, {more}}}"


def test_labels_are_found_by_path_and_suffix_and_decoded_by_the_class_list(folders):
    run = Run(experiment(TWO, source(folders, "ignored_ids: [0, 255]")))
    dataset = run.dataset("source", labelled=True)
    assert [one.name for one in dataset.samples] == ["deeper/two x_rgb.jpg", "one_rgb.jpg"]
    for index in range(2):
        assert dataset.label(index).tolist() == [[0, 0, 1], [255, 1, 255]]
    assert orphaned_labels(run.experiment.data.source) == []


def test_an_id_that_is_in_no_list_is_an_error_that_says_where_to_put_it(folders):
    dataset = Run(experiment(TWO, source(folders))).dataset("source", labelled=True)
    with pytest.raises(UserError, match=r"x_ids\.png: .*\(0\): expected 1 to 2, 4, 255: .*data\.source\.ignored_ids"):
        dataset.label(0)
    dataset = Run(experiment(TWO, source(folders, "ignored_ids: others"))).dataset("source", labelled=True)
    assert dataset.label(0).tolist() == [[0, 0, 1], [255, 1, 255]]


def test_a_data_set_may_have_label_ids_of_its_own(folders):
    stated = "ids: {sky: [1], path: [2]}, ignored_ids: [0, 4, 255]"
    dataset = Run(experiment(TWO, source(folders, stated))).dataset("source", labelled=True)
    assert dataset.label(0).tolist() == [[1, 255, 0], [255, 0, 255]]


def test_published_classes_are_found_in_ones_own_folder_by_ids(folders):
    overrides = ["classes=19", source(folders, "ids: {road: [1, 4], sky: [2]}, ignored_ids: others")]
    with pytest.raises(UserError, match=r"class sidewalk has no label ids"):
        Run(experiment(*overrides)).dataset("source", labelled=True)
    with pytest.raises(UserError, match=r"data\.source\.ids is missing"):
        Run(experiment("classes=19", source(folders))).dataset("source", labelled=True)
    val = [one.replace("data.source", "data.val") for one in overrides]
    assert Run(experiment(*val)).dataset("val", labelled=True).label(0).tolist() == [[0, 0, 10], [255, 10, 255]]


def test_labels_may_be_colours_or_of_16_bits(tmp_path):
    own = experiment(classes("{name: a, ids: ['#102030']}, {name: b, ids: ['#a0b0c0', '#ffffff']}"))
    save(tmp_path / "c.png", np.array([[[16, 32, 48], [255, 255, 255], [160, 176, 192]]], np.uint8))
    assert read_label(tmp_path / "c.png", label_map_of(own, "source")).tolist() == [[0, 1, 1]]
    assert class_set_of(own).palette.tolist() == [[16, 32, 48], [160, 176, 192]]
    save(tmp_path / "d.png", np.array([[[1, 2, 3]]], np.uint8))
    strict = label_map_of(experiment(*two_colours(), "data.source.ignored_ids=['#000000']"), "source")
    with pytest.raises(UserError, match=r"\(#010203\): expected #000000, #102030, #a0b0c0"):
        read_label(tmp_path / "d.png", strict)
    wide = label_map_of(experiment(classes("{name: a, ids: [1]}, {name: b, ids: [40000]}")), "source")
    save(tmp_path / "e.png", np.array([[1, 40000, 7]], np.uint16))
    assert read_label(tmp_path / "e.png", wide).tolist() == [[0, 1, 255]]


def two_colours():
    return [classes("{name: a, ids: ['#102030']}, {name: b, ids: ['#a0b0c0']}")]


def test_a_label_file_that_does_not_keep_its_values_is_refused(folders):
    save(folders / "labels" / "one_ids.jpg", np.zeros((2, 3), np.uint8))
    labels = label_map_of(experiment(TWO, source(folders)), "source")
    with pytest.raises(UserError, match=r"one_ids\.jpg: is a label image of kind JPEG, which may alter ids"):
        read_label(folders / "labels" / "one_ids.jpg", labels)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.source.ids={paht: [1]}"], "data.source.ids: paht is no class: did you mean path"),
        (["data.source.ids={path: [1], sky: [1]}"], "data.source.ids: 1 is of path and of sky"),
        (["data.source.ids={path: [1]}"], "class sky has no label ids, and could never be learnt"),
        (["data.source.ids={path: [1], sky: ['#000000']}"], "some label ids are numbers, some colours"),
    ],
)
def test_what_a_class_list_cannot_mean_is_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        label_map_of(experiment(TWO, *overrides), "source")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (classes("{name: a}"), "a list of 2 to 255 classes: these are 1"),
        (classes("{name: a}, {name: a}"), "name a is there twice"),
        (classes("{name: a, ids: [3]}, {name: b, ids: [3]}"), "id 3 is there twice"),
        (classes("{name: a, idz: [3]}, {name: b}"), r"classes\.0\.idz is not a setting: did you mean classes\.0\.ids"),
        (classes("{name: a, ids: [70000]}, {name: b}"), r"classes\.0\.ids\.0 = 70000: expected a label id"),
        ("data.val={dataset: cityscapes, root: x, labels: y}", "labels is for dataset folder"),
    ],
)
def test_a_class_list_that_is_wrong_is_refused_by_its_key(override, message):
    with pytest.raises(ConfigError, match=message):
        experiment(override)


def test_shared_labels_are_refused(folders):
    save(folders / "images" / "one_rgb.png", np.zeros((2, 3, 3), np.uint8))
    save(folders / "labels" / "one_rgb.png", np.zeros((2, 3), np.uint8))
    twins = f"data.source={{dataset: folder, root: {folders}/images, labels: {folders}/labels}}"
    with pytest.raises(UserError, match=r"one_rgb\.png and .*one_rgb\.jpg: share one label"):
        Run(experiment(TWO, twins)).dataset("source", labelled=True)


def test_every_class_gets_a_colour_of_its_own():
    many = experiment(classes(", ".join(f"{{name: c{i}, ids: [{i}]}}" for i in range(60))))
    palette = class_set_of(many).palette
    assert palette.shape == (60, 3)
    assert len({tuple(one) for one in palette.tolist()}) == 60
    assert class_set_of(experiment(classes("{name: a}, {name: Road}"))).palette[1].tolist() == [128, 64, 128]


def small(world, *overrides):
    return experiment(
        f"data.source.root={world}/gta5/images",
        f"data.source.labels={world}/gta5/labels",
        f"data.target.root={world}/cityscapes/leftImg8bit/train",
        f"data.val.root={world}/cityscapes/leftImg8bit/val",
        f"data.val.labels={world}/cityscapes/gtFine/val",
        *(f"{stage}.iterations=2" for stage in ("source", "adversarial", "retrain")),
        *(f"{stage}.batch_size=2" for stage in ("source", "adversarial", "retrain")),
        f"source.input={INPUT}",
        f"adversarial.source_input={INPUT}",
        f"adversarial.target_input={INPUT}",
        "retrain.input.crop=[64, 64]",
        "proxies.size=[64, 32]",
        "bookkeeping.eval_every=0",
        *overrides,
    )


def test_all_stages_with_own_classes(tiny_world, tmp_path):
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(small(tiny_world), tmp_path))
    names = ("ground", "building", "green", "sky", "people", "vehicle")
    made = json.loads((tmp_path / "proxies" / "proxies.json").read_text())
    assert tuple(made["pixels_kept_by_class"]) == names
    run = Run(small(tiny_world), tmp_path)
    net, _ = load_any_segmenter(run, tmp_path / "retrain" / "checkpoint.npz")
    assert tuple(score_stage(run, net, "retrain", multi_scale=False)["iou"]) == names
    model = load_trained(tmp_path)
    assert model.classes.names == names
    np.testing.assert_array_equal(model.classes.palette, run.classes.palette)


def test_the_ablations_are_there_for_own_data_with_nothing_published(tiny_world):
    for table in (3, 4):
        rows = rows_of(table, small(tiny_world))
        assert len(rows) == {3: 13, 4: 15}[table]
        assert all(row.published is None for row in rows)
    with pytest.raises(UserError, match=r"with data\.source\.dataset = gta5"):
        rows_of(1, small(tiny_world))


def test_another_meaning_of_the_labels_is_another_experiment(tiny_world, tmp_path):
    train_source(Run(small(tiny_world), tmp_path))
    moved = "data.source.ids={ground: [7], building: [11, 8], green: [21], sky: [23], people: [24], vehicle: [26]}"
    with pytest.raises(UserError, match=r"made from\.images was 6 images, .*, now 6 images"):
        train_source(Run(small(tiny_world, moved), tmp_path))
    other = json.dumps([{"name": name, "ids": [one]} for one, name in enumerate("abcdef", start=21)])
    with pytest.raises(UserError, match="is of a model with class ground: this experiment has a in its place"):
        load_any_segmenter(Run(small(tiny_world, f"classes={other}")), tmp_path / "source" / "checkpoint.npz")
