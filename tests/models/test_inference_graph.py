"""The fused graph returns what the plain one does, or is not used."""

import numpy as np
import pytest
from compiled_networks import SIZES, images_of, new_network, set_statistics

from gluon_madapt.models import inference_graph
from gluon_madapt.models.segmenter import QuarterScores


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
