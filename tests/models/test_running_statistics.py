"""A pass that is to leave running statistics alone."""

import json

import mxnet as mx
import pytest

from gluon_madapt.models import Segmenter
from gluon_madapt.models.running_statistics import held_statistics


def momenta(net):
    nodes = json.loads(net.extract_features(mx.sym.var("images"))[0].tojson())["nodes"]
    return [node["op"] for node in nodes if "momentum" in node.get("attrs", {})], {
        float(node["attrs"]["momentum"]) for node in nodes if "momentum" in node.get("attrs", {})
    }


@pytest.mark.parametrize(("encoder", "devices"), [("small", 1), ("small", 2), ("vgg16", 1), ("resnet101", 1)])
def test_every_batch_norm_keeps_its_statistics_within_and_moves_them_again_after(encoder, devices):
    net = Segmenter(encoder, 19, synchronized=devices)
    with held_statistics(net):
        layers, within = momenta(net)
    assert within == {1.0}
    assert momenta(net) == (layers, {0.9})
    kinds = {"BatchNorm"} if devices == 1 else {"_contrib_SyncBatchNorm"}
    assert set(layers) == kinds
    running = [key for key in net._collect_params_with_prefix() if key.endswith("running_mean")]
    assert len(layers) == len(running)


def test_an_error_within_leaves_no_batch_norm_without_its_momentum():
    net = Segmenter("small", 19)
    with pytest.raises(ZeroDivisionError), held_statistics(net):
        raise ZeroDivisionError
    assert momenta(net)[1] == {0.9}
