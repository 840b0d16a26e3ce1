"""A stage whose input teaches it nothing, or gives nothing to score, says so and stops."""

import json
import re
import shutil

import numpy as np
import pytest
from small_experiments import small_experiment

from gluon_madapt.data import Dataset
from gluon_madapt.data.image_files import image_size, write_png
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.evaluation import ConfusionMatrix, summary
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.files.json_files import json_text, read_json, read_log
from gluon_madapt.labels import IGNORE, class_set
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.runs import labelled_pixels as module
from gluon_madapt.runs.labelled_pixels import check_labels
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.logger import scalars

# What a Cityscapes or GTA5 label file holds: an ignored id, and road.
IGNORED, ROAD = 0, 7
SCORED = "bookkeeping={log_every: 1, eval_every: 1, checkpoint_every: 2}"


@pytest.fixture
def world(tiny_world, tmp_path):
    shutil.copytree(tiny_world, tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def world_of_ignored(world):
    """Whose source, target and val labels hold nothing of any class."""
    for pattern in ("gta5/labels/*.png", "cityscapes/gtFine/*/*/*_labelIds.png"):
        fill(world, pattern, IGNORED)
    return world


@pytest.fixture
def source_model(copied):
    """A run folder with a source model alone."""
    shutil.rmtree(copied / "adversarial")
    return copied


def fill(world, pattern, label_id):
    for path in world.glob(pattern):
        write_png(path, np.full(image_size(path)[::-1], label_id, np.uint8))


def begun(folder):
    return (folder / "inputs.json").exists()


def numbers_in(folder):
    """Read every JSON file of a folder as a strict reader does; return their paths."""

    def refuse(constant):
        raise AssertionError(f"{constant} in {path}")

    paths = [path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl")]
    for path in paths:
        text = path.read_text()
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(part, parse_constant=refuse)
    return paths


NOTHING = "no pixel of its . labels is of any of the 19 classes: expected the ids of"


def test_stage_1_is_refused_before_it_begins(world_of_ignored, tmp_path):
    with pytest.raises(UserError, match=f"{world_of_ignored}/gta5: {NOTHING} gta5"):
        train_source(Run(small_experiment(world_of_ignored), tmp_path / "run"))
    assert not begun(tmp_path / "run" / "source")


def test_stage_2_is_refused_unless_labels_teach_nothing_there(world, source_model):
    fill(world, "gta5/labels/*.png", IGNORED)
    with pytest.raises(UserError, match=f"{world}/gta5: {NOTHING} gta5"):
        train_adversarial(Run(small_experiment(world), source_model))
    assert not begun(source_model / "adversarial")
    train_adversarial(Run(small_experiment(world, "adversarial.lambda_seg=0", iterations=1), source_model))


@pytest.mark.parametrize(
    "discriminators, lambdas, refused", [(0, (3, 3), True), (1, (0, 3), False), (2, (0, 0), False)]
)
def test_a_stage_2_whose_weights_are_all_0(world, source_model, caplog, discriminators, lambdas, refused):
    settings = {"lambda_seg": 0, "lambda_1": lambdas[0], "lambda_2": lambdas[1], "discriminators": discriminators}
    changes = [f"adversarial.{key}={value}" for key, value in settings.items()]
    run = Run(small_experiment(world, *changes, iterations=1), source_model)
    if refused:
        with pytest.raises(UserError, match="so nothing is learnt: set one of them higher"):
            train_adversarial(run)
        assert not begun(source_model / "adversarial")
    else:
        train_adversarial(run)
        assert "these learn, the segmenter does not" in caplog.text


def test_proxies_without_a_labelled_pixel_fail_and_stage_4_refuses_them(tiny_world, copied):
    experiment = small_experiment(tiny_world, "proxies.p1=1e-9", iterations=1)
    for _ in range(2):  # nor is it any better when all of it is there already
        with pytest.raises(FailureError, match="labels: no pixel of any image got a proxy.*higher p1 and p2"):
            make_proxies(Run(experiment, copied))
    with pytest.raises(UserError, match="no pixel of its 4 labels is of any.*higher p1 and p2.*make_proxy"):
        retrain(Run(experiment, copied))
    assert not begun(copied / "retrain")


def test_an_audit_without_truth_is_refused(world_of_ignored, tmp_path):
    with pytest.raises(UserError, match=f"{world_of_ignored}/cityscapes: {NOTHING} cityscapes"):
        make_proxies(Run(small_experiment(world_of_ignored), tmp_path), audit=True)


@pytest.mark.parametrize(
    "stage, name", [(train_source, "source"), (train_adversarial, "adversarial"), (retrain, "retrain")]
)
def test_a_val_split_without_labels_is_refused_before_a_training_that_is_to_be_scored(
    world, straight, tmp_path, stage, name
):
    folder = tmp_path / "run"
    shutil.copytree(straight, folder)
    shutil.rmtree(folder / name, ignore_errors=True)
    fill(world, "cityscapes/gtFine/val/*/*_labelIds.png", IGNORED)
    with pytest.raises(UserError, match=f"{world}/cityscapes: {NOTHING} cityscapes"):
        stage(Run(small_experiment(world, SCORED, iterations=1), folder))
    assert not begun(folder / name)
    stage(Run(small_experiment(world, iterations=1), folder))


def test_scoring_such_a_split_is_refused_before_an_image_is_seen(world_of_ignored, tmp_path, monkeypatch):
    run = Run(small_experiment(world_of_ignored), tmp_path)
    monkeypatch.setattr(Dataset, "image", None)
    with pytest.raises(UserError, match=NOTHING):
        score_stage(run, new_segmenter(run), "source", multi_scale=False)


def crops_that_miss(world, iterations):
    """Return an experiment whose labels have a few pixels of a class, in one corner of large images."""
    for path in world.glob("gta5/labels/*.png"):
        label = np.full((256, 4096), IGNORED, np.uint8)
        label[-1, -1] = ROAD
        write_png(path, label)
        write_png(world / "gta5" / "images" / path.name, np.zeros((256, 4096, 3), np.uint8))
    return small_experiment(world, "source.input={size: null, short_side: null, crop: [32, 32]}", iterations=iterations)


def test_a_training_none_of_whose_crops_has_a_labelled_pixel_fails_and_leaves_no_model(world, tmp_path):
    experiment = crops_that_miss(world, 3)
    for _ in range(2):  # nor does it end well when it is called again, after the checkpoint of iteration 2
        with pytest.raises(FailureError, match="no image of the last 3 iterations had a labelled pixel"):
            train_source(Run(experiment, tmp_path))
    assert not (tmp_path / "source" / "segmenter.params").exists()
    with pytest.raises(UserError, match="was stopped after iteration 2 of 3"):
        Run(experiment, tmp_path).checkpoint_of("source")


def test_so_does_one_that_sees_none_for_too_long(world, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ITERATIONS", 3)
    with pytest.raises(FailureError, match="no image of the last 6 iterations had a labelled pixel"):
        train_source(Run(crops_that_miss(world, 50), tmp_path))  # of six images, two an iteration: two epochs


def test_a_batch_without_a_labelled_pixel_is_nothing_but_a_loss_of_0(world, tmp_path):
    first = sorted(world.glob("gta5/labels/*.png"))[0]
    write_png(first, np.full(image_size(first)[::-1], IGNORED, np.uint8))
    experiment = small_experiment(world, "source.batch_size=1", "source.accumulate=1", iterations=6)
    train_source(Run(experiment, tmp_path))
    losses = [entry["segmentation"] for entry in read_log(tmp_path / "source" / "log.jsonl")]
    assert sorted(loss > 0 for loss in losses) == [False, True, True, True, True, True]
    assert np.isfinite(losses).all()


class Labels(Dataset):
    """Labels of a few pixels each, that count how often they are read; None is one that cannot be."""

    def __init__(self, labels):
        super().__init__(list(labels), None)
        self.read = []

    def label(self, index):
        self.read.append(index)
        if self.samples[index] is None:
            raise UserError("broken")
        return np.array([self.samples[index]], dtype=np.uint8)


FULL, EMPTY = (0, 1, 255), (255, 255)


@pytest.mark.parametrize(
    "labels, refused, read",
    [
        ([FULL] * 1000, False, 1),
        ([EMPTY, FULL] * 50, False, 2),
        ([EMPTY] * 999 + [FULL], False, 40),
        ([EMPTY] * 500 + [FULL] + [EMPTY] * 500, False, 1001),
        ([EMPTY] * 100, True, 100),
        ([EMPTY], True, 1),
        ([None] * 3, False, 3),
        ([None, EMPTY], True, 2),
        ([None, FULL], False, 2),
        ([(3,)] * 1000, False, 40),
        ([(3,)] * 30 + [(4,)], False, 31),
    ],
    ids=str,
)
def test_labels_are_read_until_one_is_found_that_teaches(tiny_world, tmp_path, caplog, labels, refused, read):
    run = Run(small_experiment(tiny_world, "data.threads=1"), tmp_path)
    dataset = Labels(labels)
    if refused:
        with pytest.raises(UserError, match=f"here: no pixel of its {len(labels)} labels .*: mend it"):
            check_labels(run, dataset, "here", "mend it")
    else:
        check_labels(run, dataset, "here", "mend it")
    assert len(dataset.read) <= read + 1  # the next one is being read already
    assert len(set(dataset.read)) == len(dataset.read)
    classes = {one for label in labels for one in label or () if one != IGNORE}
    assert ("hold one class" in caplog.text) == (len(classes) == 1)


def test_labels_of_one_class_alone_are_a_warning(world, tmp_path, caplog):
    fill(world, "gta5/labels/*.png", ROAD)
    train_source(Run(small_experiment(world), tmp_path))
    assert f"{world}/gta5: all labels looked at hold one class, road" in caplog.text


@pytest.mark.parametrize("counted, miou, miou13", [((), None, None), ((3,), 100.0, None), ((0, 3), 100.0, 100.0)])
def test_scores_of_nothing_are_null(counted, miou, miou13):
    """Class 3, wall, is none of the thirteen."""
    matrix = ConfusionMatrix(16)
    matrix.counts[counted, counted] = 5
    scores = summary(matrix, class_set(16))
    assert (scores["miou"], scores["miou13"]) == (miou, miou13)
    assert sum(value is not None for value in scores["iou"].values()) == len(counted)
    json_text(scores)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_file_of_ours_takes_what_is_no_json(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"deep": [{"in": value}]})


def test_old_files_that_hold_nan_are_read(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"iteration": 2, "val": {"miou": NaN, "iou": {"a": Infinity}}}\n')
    (tmp_path / "metrics.json").write_text('{"val": {"miou": -Infinity}}')
    assert read_log(tmp_path / "log.jsonl") == [{"iteration": 2, "val": {"miou": None, "iou": {"a": None}}}]
    assert read_json(tmp_path / "metrics.json") == {"val": {"miou": None}}


@pytest.mark.slow
def test_the_report_of_an_old_run_that_holds_nan_says_what_was_not_scored(scored_run, tmp_path):
    shutil.copytree(scored_run, tmp_path / "run")
    for name in ("metrics.json", "log.jsonl"):
        path = tmp_path / "run" / "source" / name
        text = re.sub(r'"miou": [0-9.e-]+', '"miou": NaN', path.read_text())
        assert "NaN" in text
        path.write_text(text)
    page = report_of_folder(tmp_path / "run", wanted=["0"]).read_text()
    assert "no labelled pixel" in page
    assert "damaged" not in page


def test_curves_for_tensorboard_leave_out_what_was_not_scored():
    entry = {"iteration": 1, "val": {"miou": None, "iou": {"road": 1.5, "wall": None}}}
    assert scalars(entry) == {"val/classes": 1.0, "IoU/road": 1.5}


def test_whatever_a_run_writes_is_json(world, tmp_path):
    fill(world, "cityscapes/gtFine/val/*/*_labelIds.png", 12)  # wall: for sixteen classes, mIoU* has nothing to say
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(small_experiment(world, SCORED, "classes=16"), tmp_path / "run"))
    assert len(numbers_in(tmp_path / "run")) > 8
