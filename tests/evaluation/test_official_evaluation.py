"""The same predictions score the same by the official Cityscapes evaluation (cityscapesscripts)."""

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official  # noqa: N813
from PIL import Image

from gluon_madapt.data.label_files import read_label
from gluon_madapt.evaluation import ConfusionMatrix, summary
from gluon_madapt.labels import IGNORE, class_set, encode_ids, label_map

CLASSES = class_set(19)
NEITHER, NEVER_PREDICTED, NEVER_LABELLED = (CLASSES.names.index(name) for name in ("train", "wall", "bus"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Label files with every label id that Cityscapes has but one class's, and predictions, as files and train ids."""
    folder = tmp_path_factory.mktemp("official")
    rng = np.random.default_rng(0)
    ids = CLASSES.label_ids["cityscapes"]
    written = []
    for index in range(3):
        label_ids = rng.integers(0, 34, (60, 80)).astype(np.uint8)
        label_ids[np.isin(label_ids, [ids[NEITHER], ids[NEVER_LABELLED]])] = ids[0]
        Image.fromarray(label_ids).save(folder / f"{index}_gtFine_labelIds.png")
        label = read_label(folder / f"{index}_gtFine_labelIds.png", label_map("cityscapes", CLASSES))
        # Right in two pixels of three or so, so that the scores differ from class to class.
        prediction = np.where(
            (rng.random(label.shape) < 0.6) & (label != IGNORE), label, rng.integers(0, 19, label.shape)
        )
        prediction[np.isin(prediction, [NEITHER, NEVER_PREDICTED])] = 2
        prediction = prediction.astype(np.uint8)
        Image.fromarray(encode_ids(prediction, "cityscapes", CLASSES)).save(folder / f"{index}_prediction.png")
        written.append((folder, index, label, prediction))
    return written


def officially(pairs):
    """Return IoU by class name, NaN where absent, and their mean, as the official evaluation computes them."""
    official.args.quiet = True
    official.args.evalInstLevelScore = False
    predictions = [str(folder / f"{index}_prediction.png") for folder, index, _, _ in pairs]
    truths = [str(folder / f"{index}_gtFine_labelIds.png") for folder, index, _, _ in pairs]
    result = official.evaluateImgLists(predictions, truths, official.args)
    return result["classScores"], result["averageScoreClasses"]


def test_iou_per_class_and_its_mean_are_the_official_ones(pairs):
    matrix = ConfusionMatrix(19)
    for _, _, label, prediction in pairs:
        matrix.add(label, prediction)
    scores, mean = officially(pairs)
    expected = [scores[name] for name in CLASSES.names]
    np.testing.assert_allclose(matrix.iou, expected, rtol=0, atol=1e-12)
    assert matrix.miou() == pytest.approx(mean, abs=1e-12)
    assert [name for name in CLASSES.names if np.isnan(scores[name])] == ["train"]
    assert summary(matrix, CLASSES)["iou"]["train"] is None
    assert scores["bus"] == scores["wall"] == 0
