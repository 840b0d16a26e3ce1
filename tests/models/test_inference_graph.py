"""The fused graph returns what the plain one does, or is not used."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_madapt.models import Segmenter, inference_graph
from gluon_madapt.models.segmenter import QuarterScores

SIZES = ((64, 96), (64, 96), (32, 64), (64, 96))


def new_network(encoder="small"):
    """A network whose batch norms have statistics to fold."""
    mx.random.seed(1)
    net = Segmenter(encoder, 19)
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    net(nd.zeros((1, 3, 64, 64)))
    set_statistics(net, seed=0)
    return net


def set_statistics(net, seed):
    rng = np.random.default_rng(seed)
    for key, param in net._collect_params_with_prefix().items():
        if key.endswith("running_mean"):
            param.set_data(nd.array(rng.normal(0, 0.1, param.shape)))
        if key.endswith("running_var"):
            param.set_data(nd.array(rng.uniform(0.5, 2, param.shape)))


def images_of(size, seed=0):
    return nd.array(np.random.default_rng(seed).normal(size=(1, 3, *size)).astype("f4"))


def assert_close(found, expected):
    for one, other in (tuple(one.asnumpy() for one in pair) for pair in zip(found, expected)):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.ptp(other))


@pytest.mark.parametrize("encoder", ["small", "resnet101", pytest.param("vgg16", marks=pytest.mark.slow)])
def test_the_fused_graph_agrees_with_the_plain_one_at_every_size(encoder):
    net = new_network(encoder)
    plain = QuarterScores(net)
    net.compile_for_inference()
    for place, size in enumerate(SIZES):
        images = images_of(size, seed=place)
        assert_close(net.quarter(images), plain(images))
    assert net.quarter._fused is not None


def test_what_an_image_gets_depends_on_no_other_image():
    net = new_network()
    alone = []
    for size in SIZES[1:]:
        net.compile_for_inference()
        alone.append(net.quarter(images_of(size))[0].asnumpy())
    net.compile_for_inference()
    together = [net.quarter(images_of(size))[0].asnumpy() for size in SIZES[1:]]
    for one, other in zip(alone, together):
        assert one.tobytes() == other.tobytes()


def test_statistics_that_have_changed_are_used_once_it_is_compiled_again():
    net = new_network()
    net.compile_for_inference()
    images = images_of((64, 96))
    before = net.quarter(images)[0].asnumpy()
    set_statistics(net, seed=5)
    net.compile_for_inference()
    assert np.abs(net.quarter(images)[0].asnumpy() - before).max() > 1e-2
    assert_close(net.quarter(images), QuarterScores(net)(images))


def test_a_fused_graph_that_differs_is_not_used_and_said(monkeypatch, caplog):
    net = new_network()
    monkeypatch.setattr(inference_graph, "_TOLERANCE", 0)
    net.compile_for_inference()
    images = images_of((64, 96))
    found = net.quarter(images)
    assert "differs from the plain one" in caplog.text
    plain = QuarterScores(net)
    plain.hybridize()
    for one, other in zip(found, plain(images)):
        assert one.asnumpy().tobytes() == other.asnumpy().tobytes()
