import numpy as np
import pytest
from conftest import GOLDEN
from mxnet import nd

from gluon_madapt.evaluation import predict_probabilities
from gluon_madapt.models import SPACES, Discriminator, Segmenter
from gluon_madapt.weights.golden import golden_weight

RELEASED = {"resnet101": (19, "resnet101_19", 64, 128), "vgg16": (16, "vgg16_16", 64, 96)}


@pytest.fixture(scope="module", params=sorted(RELEASED))
def released(request):
    """A network with the golden weights, its golden outputs and its listed keys."""
    classes, name, height, width = RELEASED[request.param]
    net = Segmenter(request.param, classes)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    for key, param in net._collect_params_with_prefix().items():
        param.set_data(nd.array(golden_weight(key, param.shape)))
    golden = np.load(GOLDEN / f"{name}_{height}x{width}.npz")
    seed = int(golden["input_seed"])
    image = np.random.RandomState(seed).standard_normal((1, 3, height, width)).astype("float32")
    keys = dict(line.split() for line in (GOLDEN / f"{name}_keys.txt").read_text().splitlines())
    return net, nd.array(image), golden, keys


def assert_close(found, expected):
    """Within 1e-4 of the largest expected value."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_parameter_keys_and_shapes_are_the_released_ones(released):
    net, _, _, keys = released
    found = {k: "x".join(map(str, p.shape)) for k, p in net._collect_params_with_prefix().items()}
    assert found == keys


@pytest.mark.parametrize(("encoder", "classes"), [("resnet101", 16), ("vgg16", 19)])
def test_the_other_number_of_classes_changes_the_classifiers_shapes_alone(encoder, classes):
    net = Segmenter(encoder, classes)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    listed, name, *_ = RELEASED[encoder]
    expected = dict(line.split() for line in (GOLDEN / f"{name}_keys.txt").read_text().splitlines())
    for key, shape in expected.items():
        if key.startswith("classifier."):
            assert shape.split("x")[0] == str(listed)
            expected[key] = "x".join([str(classes), *shape.split("x")[1:]])
    assert {k: "x".join(map(str, p.shape)) for k, p in net._collect_params_with_prefix().items()} == expected


@pytest.mark.parametrize("hybridize", [False, True])
def test_outputs_equal_the_released_networks(released, hybridize):
    net, image, golden, _ = released
    net.hybridize(hybridize)
    logits, feature, mid = net(image)
    assert_close(logits.asnumpy()[:, :, ::4, ::4], golden["logits"])
    assert_close(feature.asnumpy()[:, ::4, ::2, ::2], golden["feature"])
    assert_close(mid.asnumpy().mean(axis=(2, 3)), golden["c3"].reshape(1, -1))
    quarter, *_ = net.quarter(image)
    assert quarter.shape == (1, net.num_classes, image.shape[2] // 4, image.shape[3] // 4)


@pytest.mark.parametrize("hybridize", [False, True])
def test_multi_scale_probabilities_equal_the_released_networks(released, hybridize):
    net, image, golden, _ = released
    net.hybridize(hybridize)
    assert_close(predict_probabilities(net, image).asnumpy()[:, :, ::4, ::4], golden["multi_scale"])


@pytest.fixture(scope="module")
def small():
    net = Segmenter("small", 5)
    net.initialize()
    return net


def test_one_compiled_network_serves_inputs_of_any_size(small):
    images = [nd.random.normal(shape=(n, 3, h, w)) for n, h, w in ((1, 64, 96), (2, 37, 101), (1, 33, 32), (1, 64, 96))]
    plain = [[out.asnumpy() for out in small(image)] for image in images]
    small.hybridize(static_alloc=True)
    for image, expected in zip(images, plain):
        for found, wanted in zip(small(image), expected):
            np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-4, atol=1e-5)
        assert small(image)[0].shape[2:] == image.shape[2:]
    small.hybridize(False)


def test_shapes_of_the_three_outputs(small):
    logits, feature, mid = small(nd.zeros((2, 3, 64, 96)))
    assert logits.shape == (2, 5, 64, 96)
    assert feature.shape == (2, 128, 16, 24)
    assert mid.shape == (2, small.mid_channels, 4, 6)


def test_a_view_adds_no_parameters(small):
    assert not [key for key in small._collect_params_with_prefix() if "quarter" in key]
    assert len(small.quarter._collect_params_with_prefix()) == 0


def test_padding_the_classifier_changes_nothing(small):
    feature = nd.random.normal(shape=(1, 128, 9, 11))
    classifier = small.classifier
    expected = sum(
        nd.Convolution(feature, b.weight.data(), b.bias.data(), kernel=(3, 3), pad=(r, r), dilate=(r, r), num_filter=5)
        for b, r in zip((classifier.b1, classifier.b2, classifier.b3, classifier.b4), (1, 2, 4, 8))
    )
    np.testing.assert_allclose(classifier(feature).asnumpy(), expected.asnumpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
@pytest.mark.parametrize(("name", "stride"), [("D1", 4), ("D2", 16)])
def test_both_discriminators_end_at_the_output_stride(name, stride, output_stride):
    seen = SPACES["features"].cells(2, output_stride)[name]
    discriminator = Discriminator(7, seen.halvings)
    discriminator.initialize()
    for width, height in ((1024, 512), (200, 100)):
        ends_at = max(stride, output_stride)  # D2 is never finer than its map
        feature = nd.zeros((2, 7, -(-height // stride), -(-width // stride)))
        cells = seen.across(height), seen.across(width)
        assert discriminator(feature).shape == (2, 1, *cells)
        if width == 1024:
            assert cells == (height // ends_at, width // ends_at)


def test_the_papers_discriminators_end_at_one_32nd_of_the_image():
    cells = SPACES["features"].cells
    assert cells(2) == {"D1": (4, 3), "D2": (16, 1)}
    assert (cells(1), cells(0)) == ({"D1": (4, 3)}, {})


def test_an_unknown_encoder_is_named():
    with pytest.raises(ValueError, match="resnet50.*resnet101, vgg16, small"):
        Segmenter("resnet50", 19)
