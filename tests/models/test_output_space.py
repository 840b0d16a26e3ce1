"""Class probabilities as what the discriminators look at: values and gradients against NumPy."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd

from gluon_madapt.models import SPACES, Discriminator, Segmenter
from gluon_madapt.models.output_space import OutputDiscriminator, probabilities
from gluon_madapt.models.passes import JointPass, SupervisedPass, UnlabelledPass
from gluon_madapt.models.space import Outputs
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.runs.networks import initialize_segmenter

CLASSES = 3


def interpolated(x, height, width):
    """Bilinear interpolation with aligned corners, (N, L, h, w) to (N, L, H, W), position by position."""
    out = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            y, z = (p * (n - 1) / max(m - 1, 1) for p, n, m in ((i, x.shape[2], height), (j, x.shape[3], width)))
            top, left = int(y), int(z)
            bottom, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            a, b = y - top, z - left
            above = (1 - b) * x[:, :, top, left] + b * x[:, :, top, right]
            below = (1 - b) * x[:, :, bottom, left] + b * x[:, :, bottom, right]
            out[:, :, i, j] = (1 - a) * above + a * below
    return out


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def space_of(number, output_stride=32):
    net = Segmenter("small", CLASSES)
    initialize_segmenter(net, [mx.cpu(0)])
    space = SPACES["outputs"](net, SPACES["outputs"].cells(number, output_stride))
    for network in space.networks.values():
        network.initialize()
    return net, space


def test_scores_are_upsampled_before_their_softmax():
    scores = random(2, CLASSES, 3, 4) * 4
    found = probabilities(nd, nd.array(scores), nd.zeros((2, 3, 8, 11))).asnumpy()
    np.testing.assert_allclose(found, softmax(interpolated(scores, 8, 11)), atol=1e-5)


def test_the_gradient_of_what_a_discriminator_sees_goes_through_the_softmax():
    """Of w·P with P = softmax(s): P (w - w·P)."""
    scores, weights = random(1, CLASSES, 2, 2), random(1, CLASSES, 2, 2, seed=1)
    given = nd.array(scores)
    given.attach_grad()
    with autograd.record():
        seen = probabilities(nd, given, nd.zeros((1, 3, 2, 2)))
        total = (seen * nd.array(weights)).sum()
    total.backward()
    p = softmax(scores)
    expected = p * (weights - (weights * p).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(given.grad.asnumpy(), expected, atol=1e-6)


def convolved(x, weight, bias, stride):
    """A convolution padded by 1, by its definition."""
    size = weight.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = ((n - size) // stride + 1 for n in x.shape[2:])
    out = np.zeros((x.shape[0], weight.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            patch = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, :, i, j] = np.tensordot(patch, weight, axes=([1, 2, 3], [1, 2, 3])) + bias
    return out


@pytest.mark.parametrize("halvings", [2, 5])
def test_a_discriminator_is_five_convolutions_of_which_the_first_halve(halvings):
    D = OutputDiscriminator(CLASSES, halvings)
    D.initialize(mx.init.Xavier(magnitude=2))
    values = {key: param.data().asnumpy() for key, param in D._collect_params_with_prefix().items()}
    x = given = softmax(random(1, CLASSES, 33, 40)).astype("f4")
    for index, width in enumerate((64, 128, 256, 512, 1)):
        weight, bias = values[f"layers.{2 * index}.weight"], values[f"layers.{2 * index}.bias"]
        assert weight.shape[0] == width
        assert weight.shape[2:] == ((4, 4) if index < halvings else (3, 3))
        x = convolved(x, weight, bias, 2 if index < halvings else 1)
        x = np.where(x < 0, 0.2 * x, x) if width > 1 else x
    np.testing.assert_allclose(D(nd.array(given)).asnumpy(), x, rtol=1e-4, atol=1e-5)


def test_halvings_are_those_that_there_are_convolutions_for():
    with pytest.raises(ValueError, match="halvings must be 0 to 5, not 6"):
        OutputDiscriminator(CLASSES, 6)


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (45, 70)])
def test_cells_are_output_strides_of_the_image_on_both_levels(output_stride, height, width):
    net, space = space_of(2, output_stride)
    seen = space.named(
        space.maps(nd, Outputs(*net.quarter(nd.zeros((1, 3, height, width)))), nd.zeros((1, 1, height, width)))
    )
    for name, cells in SPACES["outputs"].cells(2, output_stride).items():
        assert seen[name].shape == (1, CLASSES, height, width)
        expected = (height // output_stride, width // output_stride)
        assert space.discriminators[name](seen[name]).shape == (1, 1, *expected)
        assert (cells.across(height), cells.across(width)) == expected
        assert cells.least_side == output_stride


def test_the_auxiliary_classifier_is_there_for_d2_alone():
    assert [set(space_of(number)[1].networks) for number in (0, 1, 2)] == [set(), {"D1"}, {"D1", "D2", "auxiliary"}]
    assert [SPACES["outputs"].extra_losses(number) for number in (0, 1)] == [{}, {}]
    features = SPACES["features"](space_of(0)[0], SPACES["features"].cells(2))
    assert isinstance(features.discriminators["D2"], Discriminator)
    assert (features.added, features.extra_losses(2)) == ({}, {})


def expected_maps(net, space, images):
    """The scores of both classifiers, upsampled, where batch norm normalises by the batch."""
    with autograd.train_mode():
        outputs = Outputs(*net.quarter(images))
        scores = (outputs.scores, space.added["auxiliary"](outputs.mid))
    return [interpolated(one.asnumpy(), 32, 48) for one in scores]


def expected_losses(scores, labels):
    known = labels != 255
    chosen = [np.take_along_axis(softmax(one), np.where(known, labels, 0)[:, None], axis=1)[:, 0] for one in scores]
    return [-np.log(one[known]).mean() for one in chosen]


def assert_close(arrays, expected):
    assert len(arrays) == len(expected)
    for array, value in zip(arrays, expected):
        np.testing.assert_allclose(array.asnumpy().squeeze(), np.squeeze(value), rtol=1e-3, atol=1e-4)


def test_the_passes_return_losses_and_probabilities():
    net, space = space_of(2)
    images, labels = nd.array(random(4, 3, 32, 48)), np.random.default_rng(2).integers(0, CLASSES, (2, 32, 48))
    labels[0, :5] = 255
    scores = expected_maps(net, space, images[:2])
    losses, maps = expected_losses(scores, labels), [softmax(one) for one in scores]
    assert_close(TrainingGraph(SupervisedPass(net, space))(images[:2], nd.array(labels)), [*losses, *maps])
    assert_close(TrainingGraph(UnlabelledPass(net, space))(images[:2]), maps)
    scores = expected_maps(net, space, images)
    maps = [softmax(one) for one in scores]
    losses = expected_losses([one[:2] for one in scores], labels)
    expected = [*losses, *(one[:2] for one in maps), *(one[2:] for one in maps)]
    assert_close(TrainingGraph(JointPass(net, space))(images, nd.array(labels)), expected)
