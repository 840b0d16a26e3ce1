import numpy as np
import pytest
from gluoncv.model_zoo import resnetv1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet import init, nd

from gluon_madapt.errors import UserError
from gluon_madapt.models import Segmenter
from gluon_madapt.models.weights import load_imagenet, load_released


def classifier_file(network, path):
    """Save a GluonCV classifier with random weights, as its model zoo would."""
    network.initialize(init.Xavier())
    network(nd.zeros((1, 3, 224, 224)))
    network.save_parameters(str(path))
    return network


def new(encoder):
    net = Segmenter(encoder, 19)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    return net


def test_resnet101_computes_what_gluoncvs_does(tmp_path, caplog):
    caplog.set_level("INFO")
    reference = classifier_file(resnetv1b.resnet101_v1b(), tmp_path / "r.params")
    net = new("resnet101")
    load_imagenet(net, tmp_path / "r.params")
    image = nd.random.normal(shape=(1, 3, 64, 96))
    x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(image))))
    c3 = reference.layer3(reference.layer2(reference.layer1(x)))
    np.testing.assert_array_equal(net(image)[2].asnumpy(), c3.asnumpy())
    assert "520 tensors loaded" in caplog.text


def test_vgg16_computes_what_gluoncvs_does_fc6_included(tmp_path):
    reference = classifier_file(vgg16(), tmp_path / "v.params")
    net = new("vgg16")
    load_imagenet(net, tmp_path / "v.params")
    image = nd.random.normal(shape=(1, 3, 224, 224))
    x = image
    for layer in list(reference.features)[:32]:
        x = layer(x)
    # The 7x7 convolution sees at its centre cell exactly what the dense layer sees.
    c4 = net._encoder(image)[3]
    np.testing.assert_allclose(c4.asnumpy()[0, :, 3, 3], x.asnumpy()[0], rtol=1e-3, atol=1e-4)


def test_a_file_of_another_network_is_refused(tmp_path):
    classifier_file(resnetv1b.resnet18_v1b(), tmp_path / "r18.params")
    with pytest.raises(UserError, match=r"r18\.params: is no complete file of GluonCV's resnet101"):
        load_imagenet(new("resnet101"), tmp_path / "r18.params")


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"x\.params: no such file: see pretrained/README\.md"):
        load_imagenet(new("resnet101"), tmp_path / "x.params")


def test_the_small_encoder_has_no_imagenet_weights(tmp_path):
    with pytest.raises(UserError, match="no ImageNet weights for encoder small"):
        load_imagenet(new("small"), tmp_path / "x.params")


@pytest.mark.parametrize("exported", [False, True])
def test_a_released_file_loads_as_it_is(tmp_path, exported):
    net, other = new("small"), new("small")
    params = net._collect_params_with_prefix()
    arrays = {key: param.data() for key, param in params.items()}
    if exported:
        arrays = {("aux:" if "running" in key else "arg:") + key: value for key, value in arrays.items()}
    nd.save(str(tmp_path / "net.params"), arrays)
    load_released(other, tmp_path / "net.params")
    for key, param in other._collect_params_with_prefix().items():
        np.testing.assert_array_equal(param.data().asnumpy(), params[key].data().asnumpy())


def test_a_released_file_that_does_not_fit_is_refused_with_the_reasons(tmp_path):
    arrays = {key: param.data() for key, param in new("small")._collect_params_with_prefix().items()}
    del arrays["conv1.weight"]
    arrays["extra.weight"] = nd.zeros((1,))
    arrays["bn1.beta"] = nd.zeros((7,))
    nd.save(str(tmp_path / "net.params"), arrays)
    with pytest.raises(UserError) as caught:
        load_released(new("small"), tmp_path / "net.params")
    for part in ("missing conv1.weight", "not of this network extra.weight", "bn1.beta has shape (7,), expected (32,)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", b"\x12\x01\x00\x00\x00\x00\x00\x00"])
def test_a_file_that_is_no_parameter_file_is_refused(tmp_path, content):
    (tmp_path / "net.params").write_bytes(content)
    with pytest.raises(UserError, match=r"net\.params"):
        load_released(new("small"), tmp_path / "net.params")
