"""The one resize from the network's resolution to the image's."""

import numpy as np
import pytest
from mxnet import nd

from gluon_madapt import upsampling
from gluon_madapt.models.bilinear import interpolation_matrix, resize_like
from gluon_madapt.upsampling import block_rows, probability_blocks, upsample

SIZES = [((4, 6), (16, 24)), ((3, 5), (7, 11)), ((1, 1), (4, 3)), ((2, 9), (1, 20)), ((8, 16), (64, 128))]


def maps(channels, size, scale=4.0, seed=0):
    return (np.random.default_rng(seed).normal(size=(channels, *size)) * scale).astype("float32")


def by_definition(one, height, width):
    """Bilinear with aligned corners, pixel by pixel in double precision."""
    h, w = one.shape
    out = np.empty((height, width))
    for y, x in np.ndindex(height, width):
        s, t = y * (h - 1) / max(height - 1, 1), x * (w - 1) / max(width - 1, 1)
        i, j = min(int(s), max(h - 2, 0)), min(int(t), max(w - 2, 0))
        below, right = min(i + 1, h - 1), min(j + 1, w - 1)
        a, b = s - i, t - j
        upper = (1 - b) * one[i, j] + b * one[i, right]
        lower = (1 - b) * one[below, j] + b * one[below, right]
        out[y, x] = (1 - a) * upper + a * lower
    return out


@pytest.mark.parametrize(("size", "target"), SIZES)
def test_it_interpolates_with_aligned_corners(size, target):
    values = maps(2, size)
    found = upsample(values, *target)
    assert found.dtype == np.float32
    for one, expected in zip(found, values):
        np.testing.assert_allclose(one, by_definition(expected.astype("float64"), *target), atol=2e-5)


@pytest.mark.parametrize(("size", "target"), SIZES)
def test_it_is_what_the_graphs_of_training_compute(size, target):
    values = maps(3, size)
    expected = resize_like(nd, nd.array(values[None]), nd.empty((1, 1, *target)))[0].asnumpy()
    np.testing.assert_allclose(upsample(values, *target), expected, atol=2e-6)


@pytest.mark.parametrize(("length", "out"), [(1, 5), (2, 7), (128, 512), (256, 2048), (190, 760), (5, 3)])
def test_the_weights_are_those_of_the_graphs_to_the_last_bit(length, out):
    axis = upsampling._axis(length, out)
    matrix = np.zeros((out, length), dtype="float32")
    for row in range(out):
        matrix[row, axis.high[row]] = axis.high_weight[row]
        matrix[row, axis.low[row]] = max(axis.low_weight[row], matrix[row, axis.low[row]])
    expected = interpolation_matrix(nd, nd.empty((1, 1, length, 1)), nd.empty((1, 1, out, 1)), axis=2)
    np.testing.assert_array_equal(matrix, expected.asnumpy())


def test_probabilities_are_the_softmax_of_the_upsampled_scores():
    logits = maps(5, (8, 16))
    found = np.concatenate([block.copy() for block in probability_blocks(logits, 32, 50)], axis=1)
    exponents = np.exp(upsample(logits, 32, 50).astype("float64"))
    np.testing.assert_allclose(found, exponents / exponents.sum(axis=0), atol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_the_size_of_the_blocks_changes_no_bit(rows, monkeypatch):
    logits = maps(5, (16, 16), scale=20.0)

    def all_rows():
        return np.concatenate([block.copy() for block in probability_blocks(logits, 64, 37)], axis=1)

    expected = all_rows()
    monkeypatch.setattr(upsampling, "_BLOCK_BYTES", 4 * 5 * 37 * rows)
    assert block_rows(5, 37) == rows
    assert all_rows().tobytes() == expected.tobytes()


def test_scores_far_apart_give_zeros_and_ones_and_nothing_else():
    logits = np.zeros((3, 2, 2), dtype="float32")
    logits[1] = 1e4
    (block,) = probability_blocks(logits, 4, 4)
    assert block[1].tolist() == np.ones((4, 4)).tolist()
    assert not block[[0, 2]].any()


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), "float32"), np.zeros((2, 4, 4), "float64")])
def test_maps_of_another_form_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected \(C, h, w\) float32"):
        upsample(wrong, 8, 8)
