import numpy as np
import pytest
from mxnet import autograd, nd

from gluon_madapt.models.bilinear import resize_channels_last, resize_like

SIZES = [((2, 3, 5, 7), (9, 20)), ((1, 2, 1, 1), (4, 5)), ((1, 2, 5, 6), (1, 1)), ((2, 3, 16, 16), (5, 7))]


def operator(x, like):
    return nd.contrib.BilinearResize2D(x, height=like.shape[2], width=like.shape[3])


def differentiate(function, x, head):
    x.attach_grad()
    with autograd.record():
        y = function(x)
    y.backward(head)
    return y.asnumpy(), x.grad.asnumpy()


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_values_and_gradients_equal_mxnets_operator(shape, size):
    x, like = nd.random.normal(shape=shape), nd.zeros((shape[0], 1, *size))
    head = nd.random.normal(shape=(*shape[:2], *size))
    expected, gradient = differentiate(lambda x: operator(x, like), x, head)
    found, found_gradient = differentiate(lambda x: resize_like(nd, x, like), x, head)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found_gradient, gradient, atol=1e-4)
    last, last_gradient = differentiate(lambda x: resize_channels_last(nd, x, like), x, head.transpose((0, 2, 3, 1)))
    np.testing.assert_allclose(last.transpose(0, 3, 1, 2), expected, atol=1e-5)
    np.testing.assert_allclose(last_gradient, gradient, atol=1e-4)


def test_corners_stay_where_they_are():
    x = nd.array(np.arange(12, dtype="float32").reshape(1, 1, 3, 4))
    y = resize_like(nd, x, nd.zeros((1, 1, 50, 70))).asnumpy()[0, 0]
    assert [y[0, 0], y[0, -1], y[-1, 0], y[-1, -1]] == [0, 3, 8, 11]


def test_the_size_comes_from_like_alone_whatever_its_batch():
    assert resize_like(nd, nd.zeros((3, 2, 4, 4)), nd.zeros((1, 9, 6, 8))).shape == (3, 2, 6, 8)
