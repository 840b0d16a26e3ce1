import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo import resnetv1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet import nd

from gluon_madapt.errors import UserError
from gluon_madapt.models import Segmenter
from gluon_madapt.weights.loading import load_imagenet, load_released, read_parameters

HEAD = ("fc.weight", "fc.bias")
STAGES = ("conv1.", "bn1.", "layer")


def new(encoder):
    net = Segmenter(encoder, 19)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    return net


@pytest.fixture(scope="module")
def reference():
    """GluonCV's ResNet101, in which every parameter and running statistic is random."""
    network = resnetv1b.resnet101_v1b()
    network.initialize(mx.init.Xavier())
    network(nd.zeros((1, 3, 64, 64)))
    for key, param in network._collect_params_with_prefix().items():
        if param.data().ndim == 1:
            param.set_data(nd.random.uniform(0.5, 1.0 if "gamma" in key else 1.5, shape=param.shape))
    nd.waitall()
    return network


@pytest.fixture(scope="module")
def expected(reference):
    """The values of all its parameters, by structured name."""
    return {key: param.data() for key, param in reference._collect_params_with_prefix().items()}


@pytest.fixture(scope="module")
def segmenter():
    return new("resnet101")


@pytest.fixture
def net(segmenter):
    """A ResNet101 segmenter whose parameters are all zero."""
    for param in segmenter.collect_params().values():
        param.set_data(nd.zeros(param.shape))
    return segmenter


def saved(path, arrays):
    nd.save(str(path), arrays)
    return path


def exported(reference, path):
    reference.hybridize()
    reference(nd.zeros((1, 3, 64, 64)))
    reference.export(str(path.with_suffix("")))
    reference.hybridize(False)
    return path.with_name(f"{path.stem}-0000.params")


def written(path, form, reference, expected):
    """Write the reference in one of the forms of files that exist."""
    encoder = {key: value for key, value in expected.items() if key not in HEAD}
    if form == "structured":
        reference.save_parameters(str(path))
    elif form == "older, with the network's prefix":
        reference.collect_params().save(str(path))
    elif form == "older, without it":
        reference.collect_params().save(str(path), strip_prefix=reference.prefix)
    elif form == "exported":
        return exported(reference, path)
    elif form == "encoder alone, exported":
        saved(path, {("aux:" if "running" in key else "arg:") + key: value for key, value in encoder.items()})
    return path


@pytest.mark.parametrize(
    ("form", "head"),
    [
        ("structured", True),
        ("older, with the network's prefix", True),
        ("older, without it", True),
        ("exported", True),
        ("encoder alone, exported", False),
    ],
)
def test_every_form_of_file_fills_the_whole_encoder(tmp_path, caplog, reference, expected, net, form, head):
    caplog.set_level("INFO")
    load_imagenet(net, written(tmp_path / "r.params", form, reference, expected))
    params = net._collect_params_with_prefix()
    for key in expected:
        if key not in HEAD:
            np.testing.assert_array_equal(params[key].data().asnumpy(), expected[key].asnumpy(), err_msg=key)
    assert not any(param.data().asnumpy().any() for key, param in params.items() if not key.startswith(STAGES))
    assert "520 tensors loaded" in caplog.text
    assert ("2 left out: fc.bias, fc.weight" in caplog.text) == head


def test_resnet101_computes_what_gluoncvs_does(tmp_path, reference, expected, net):
    load_imagenet(net, saved(tmp_path / "r.params", expected))
    image = nd.random.normal(shape=(1, 3, 64, 96))
    x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(image))))
    c4 = reference.layer4(reference.layer3(reference.layer2(reference.layer1(x))))
    np.testing.assert_array_equal(net.encode(image)[3].asnumpy(), c4.asnumpy())


@pytest.mark.parametrize("left_out", [(), HEAD])
def test_every_difference_is_listed_by_name(tmp_path, expected, net, left_out):
    arrays = {key: value for key, value in expected.items() if key not in (*left_out, "layer3.5.bn2.gamma")}
    arrays.update({"extra.weight": nd.zeros((1,)), "conv1.weight": nd.zeros((64, 3, 3, 3))})
    path = saved(tmp_path / "r.params", arrays)
    with pytest.raises(UserError) as caught:
        load_imagenet(net, path)
    for part in (
        "r.params",
        "1 missing (layer3.5.bn2.gamma)",
        "1 not of this network (extra.weight)",
        "1 of another shape (conv1.weight has shape (64, 3, 3, 3), expected (64, 3, 7, 7))",
    ):
        assert part in str(caught.value)
    assert not net.conv1.weight.data().asnumpy().any(), "nothing is loaded from a file that does not fit"


def test_half_a_head_is_not_the_classifier(tmp_path, expected, net):
    arrays = {key: value for key, value in expected.items() if key != "fc.bias"}
    with pytest.raises(UserError, match=r"1 missing \(fc\.bias\)"):
        load_imagenet(net, saved(tmp_path / "r.params", arrays))


def test_a_smaller_resnet_is_refused_with_the_number_of_missing_parameters(tmp_path, net):
    network = resnetv1b.resnet18_v1b()
    network.initialize()
    network(nd.zeros((1, 3, 64, 64)))
    network.save_parameters(str(tmp_path / "r18.params"))
    with pytest.raises(UserError, match=r"r18\.params.*resnet101_v1b.*missing \(.* and \d+ more\).*of another shape"):
        load_imagenet(net, tmp_path / "r18.params")


@pytest.mark.parametrize("names", ["structured", "older"])
def test_a_file_of_the_other_encoder_is_recognized(tmp_path, net, names):
    params = vgg16()._collect_params_with_prefix()
    arrays = {key if names == "structured" else param.name: nd.zeros((1,)) for key, param in params.items()}
    with pytest.raises(UserError, match=r"v\.params.*but those of vgg16 \(model\.encoder is resnet101\)"):
        load_imagenet(net, saved(tmp_path / "v.params", arrays))


def test_a_whole_segmenter_is_recognized(tmp_path, net):
    arrays = {key: param.data() for key, param in net._collect_params_with_prefix().items()}
    with pytest.raises(UserError, match=r"s\.params.*but those of a whole segmenter"):
        load_imagenet(net, saved(tmp_path / "s.params", arrays))


def test_values_that_are_not_finite_are_refused(tmp_path, expected, net):
    arrays = dict(expected, **{"bn1.beta": nd.full((64,), float("nan"))})
    with pytest.raises(UserError, match=r"r\.params: 1 tensors hold values that are not finite numbers \(bn1\.beta\)"):
        load_imagenet(net, saved(tmp_path / "r.params", arrays))


def test_a_missing_file_says_where_to_get_it(tmp_path, net):
    with pytest.raises(UserError, match=r"x\.params: no such file of weights: see pretrained/README\.md"):
        load_imagenet(net, tmp_path / "x.params")


def test_a_truncated_file_is_refused(tmp_path, expected, net):
    path = saved(tmp_path / "r.params", {"conv1.weight": expected["conv1.weight"]})
    content = path.read_bytes()
    for end in (10, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(UserError, match=r"r\.params: is no complete MXNet parameter file"):
            load_imagenet(net, path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_pytorch_names_the_converter(tmp_path, net, suffix):
    path = tmp_path / f"resnet101{suffix}"
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}" + bytes(100))
    with pytest.raises(UserError, match=r"resnet101\.\w+: .*convert it with tools/convert_pretrained\.py"):
        load_imagenet(net, path)


def test_a_checkpoint_is_told_from_a_parameter_file(tmp_path, net):
    np.savez(tmp_path / "checkpoint.npz", meta=np.zeros(3))
    with pytest.raises(UserError, match="but an archive, as checkpoints of this project are"):
        load_imagenet(net, tmp_path / "checkpoint.npz")


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
    load_released(other, saved(tmp_path / "net.params", arrays))
    for key, param in other._collect_params_with_prefix().items():
        np.testing.assert_array_equal(param.data().asnumpy(), params[key].data().asnumpy())


def test_a_released_file_that_does_not_fit_is_refused_with_the_reasons(tmp_path):
    arrays = {key: param.data() for key, param in new("small")._collect_params_with_prefix().items()}
    del arrays["conv1.weight"]
    arrays["extra.weight"] = nd.zeros((1,))
    arrays["bn1.beta"] = nd.zeros((7,))
    with pytest.raises(UserError) as caught:
        load_released(new("small"), saved(tmp_path / "net.params", arrays))
    for part in ("missing (conv1.weight)", "not of this network (extra.weight)", "bn1.beta has shape (7,)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", b"\x12\x01\x00\x00\x00\x00\x00\x00"])
def test_a_file_that_is_no_parameter_file_is_refused(tmp_path, content):
    (tmp_path / "net.params").write_bytes(content)
    with pytest.raises(UserError, match=r"net\.params"):
        read_parameters(tmp_path / "net.params")


@pytest.mark.parametrize(("encoder", "classes"), [("vgg16", 19), ("small", 16), ("resnet101", 16)])
def test_a_released_file_of_another_model_is_told_by_its_encoder_and_classes(tmp_path, encoder, classes):
    segmenter = Segmenter(encoder, classes)
    stored = {key: param.shape for key, param in segmenter._collect_params_with_prefix().items()}
    # Shapes suffice: tensors of a single value, but for the one that tells the number of classes.
    arrays = {key: nd.zeros((1,)) for key in stored}
    arrays["classifier.b1.bias"] = nd.zeros((classes,))
    nd.save(str(tmp_path / "net.params"), arrays)
    expected = f"of encoder small and 19 classes, but one of encoder {encoder} and {classes} classes: "
    with pytest.raises(UserError, match=expected):
        load_released(new("small"), tmp_path / "net.params")
