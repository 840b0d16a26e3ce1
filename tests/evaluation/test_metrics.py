import mxnet as mx
import numpy as np
import pytest

from gluon_madapt.data import Dataset, Sample
from gluon_madapt.data.image_files import write_png
from gluon_madapt.errors import FailureError
from gluon_madapt.evaluation import ConfusionMatrix, evaluate, summary
from gluon_madapt.labels import class_set


def test_iou_from_a_matrix_made_by_hand():
    matrix = ConfusionMatrix(3)
    label = np.array([[0, 0, 1], [1, 2, 255]], dtype=np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], dtype=np.uint8)
    matrix.add(label, prediction)
    assert matrix.counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    np.testing.assert_allclose(matrix.iou, [1 / 3, 2 / 3, 0])
    assert matrix.miou() == pytest.approx(1 / 3)


def test_one_matrix_over_all_images_not_a_mean_over_images():
    matrix = ConfusionMatrix(2)
    matrix.add(np.zeros((1, 9), np.uint8), np.zeros((1, 9), np.uint8))
    matrix.add(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
    np.testing.assert_allclose(matrix.iou, [0.9, 0])


def test_a_class_in_neither_labels_nor_predictions_is_left_out():
    matrix = ConfusionMatrix(3)
    matrix.add(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    assert np.isnan(matrix.iou[2])
    assert matrix.miou() == pytest.approx((0.5 + 0) / 2)


def test_thirteen_classes_from_the_matrix_of_sixteen():
    classes = class_set(16)
    matrix = ConfusionMatrix(16)
    ids = np.arange(16, dtype=np.uint8)[None]
    wrong = ids.copy()
    wrong[0, [classes.names.index(n) for n in ("wall", "fence", "pole")]] = 0
    matrix.add(ids, wrong)
    scores = summary(matrix, classes)
    assert scores["iou"]["road"] == pytest.approx(25)
    assert scores["miou"] == pytest.approx((12 * 100 + 25) / 16)
    assert scores["miou13"] == pytest.approx((12 * 100 + 25) / 13)
    assert "miou13" not in summary(ConfusionMatrix(19), class_set(19))


@pytest.mark.parametrize(("label", "prediction"), [(3, 0), (0, 3), (255, 3)])
def test_ids_that_are_no_class_are_errors(label, prediction):
    with pytest.raises(ValueError, match="none of the 3 classes"):
        ConfusionMatrix(3).add(np.full((1, 1), label, np.uint8), np.full((1, 1), prediction, np.uint8))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ"):
        ConfusionMatrix(3).add(np.zeros((1, 2), np.uint8), np.zeros((2, 1), np.uint8))


def test_a_network_that_returns_no_numbers_is_a_failure_that_names_the_image(tmp_path):
    class NotANumber:
        def quarter(self, image):
            return [mx.nd.full((1, 3, 8, 8), np.nan)]

    path = tmp_path / "street.png"
    write_png(path, np.zeros((32, 32, 3), dtype=np.uint8))
    dataset = Dataset([Sample("street.png", path, path)], lambda path: np.zeros((32, 32), dtype=np.uint8))
    with pytest.raises(FailureError, match=r"street\.png: class probabilities must be finite"):
        evaluate(NotANumber(), dataset, 3, mx.cpu())
