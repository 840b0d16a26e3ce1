"""Converted weights against the network that they come from, whose outputs lie in tests/golden."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from conftest import GOLDEN, ROOT
from gluoncv.model_zoo.resnetv1b import resnet101_v1b
from mxnet import nd
from safetensors.numpy import save_file
from torchvision_weights import SAMPLE, golden_image, torchvision_state

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models import Segmenter
from gluon_madapt.weights import loading as weights
from gluon_madapt.weights.loading import load_imagenet
from gluon_madapt.weights.torchvision_names import convert

TOOL = ROOT / "tools" / "convert_pretrained.py"
# The largest difference allowed, as a share of the largest value.
CLOSE = 1e-5


def shapes_of(encoder):
    lines = (GOLDEN / f"torchvision_{encoder}_keys.txt").read_text().splitlines()
    return {line.split()[0]: tuple(int(n) for part in line.split()[1:] for n in part.split("x")) for line in lines}


def run_tool(*arguments):
    runpy.run_path(str(TOOL))["main"]([str(argument) for argument in arguments])


def segmenter(encoder):
    net = Segmenter(encoder, 19)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    return net


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= CLOSE * np.abs(expected).max()


@pytest.fixture(scope="module")
def state():
    """Return the tensors of torchvision's resnet101."""
    return torchvision_state(shapes_of("resnet101"))


# VGG16's has half a gigabyte.
SLOW_VGG16 = pytest.param("vgg16", marks=pytest.mark.slow)
both = pytest.mark.parametrize("converted", ["resnet101", SLOW_VGG16], indirect=True)
only_resnet101 = pytest.mark.parametrize("converted", ["resnet101"], indirect=True)
only_vgg16 = pytest.mark.parametrize("converted", [SLOW_VGG16], indirect=True)


@pytest.fixture(scope="module")
def converted(request, tmp_path_factory):
    """A file as torchvision's, converted by the tool: the encoder's name, the file and a segmenter that loaded it."""
    folder = tmp_path_factory.mktemp(request.param)
    given, out = folder / "given.safetensors", folder / "out.params"
    save_file(torchvision_state(shapes_of(request.param)), str(given))
    run_tool("--encoder", request.param, given, "--out", out)
    given.unlink()
    net = segmenter(request.param)
    load_imagenet(net, out)
    yield request.param, out, net
    out.unlink()  # half a gigabyte


@both
def test_a_converted_encoder_computes_what_torchvisions_does(converted):
    encoder, _, net = converted
    golden = np.load(GOLDEN / f"torchvision_{encoder}.npz")
    maps = net.encode(nd.array(golden_image(149, 107)))
    for name, value in zip(("c1", "c2", "c3", "c4"), maps):
        if name in golden:
            assert_close(value.asnumpy()[SAMPLE], golden[name])


@only_vgg16
def test_fc6_as_a_convolution_sees_at_its_centre_what_the_dense_layer_sees(converted):
    _, _, net = converted
    c4 = net.encode(nd.array(golden_image(224, 224)))[3].asnumpy()
    assert c4.shape == (1, 4096, 7, 7)
    assert_close(c4[:, :, 3, 3], np.load(GOLDEN / "torchvision_vgg16.npz")["fc6"])


@only_resnet101
def test_gluoncv_reads_the_converted_file_as_its_own(converted):
    _, path, net = converted
    classifier = resnet101_v1b()
    classifier.load_parameters(str(path))
    found, loaded = classifier._collect_params_with_prefix(), net._collect_params_with_prefix()
    nd.waitall()
    for key in found.keys() & loaded.keys():
        np.testing.assert_array_equal(loaded[key].data().asnumpy(), found[key].data().asnumpy())


@only_vgg16
def test_an_encoder_file_may_hold_fc6_as_a_convolution(converted, monkeypatch):
    _, path, net = converted
    params = {key: param for key, param in net._collect_params_with_prefix().items() if key.startswith("features.")}
    fc6 = params["features.31.weight"]
    arrays = {key: param.data() for key, param in params.items()}
    arrays["features.31.weight"] = fc6.data().copy()
    monkeypatch.setattr(weights, "read_parameters", lambda path: dict(arrays))  # spares a second file of this size
    fc6.set_data(nd.zeros(fc6.shape))
    load_imagenet(net, path)
    assert (fc6.data() == arrays["features.31.weight"]).min().asscalar() == 1


def test_every_value_arrives_under_its_name(state):
    values, counters = convert("resnet101", state, "file")
    assert (len(values), counters) == (522, 104)
    for key, name in (
        ("conv1.weight", "conv1.weight"),
        ("layer3.22.bn2.gamma", "layer3.22.bn2.weight"),
        ("layer3.22.bn2.beta", "layer3.22.bn2.bias"),
        ("layer2.0.downsample.1.running_var", "layer2.0.downsample.1.running_var"),
        ("fc.bias", "fc.bias"),
    ):
        np.testing.assert_array_equal(values[key], state[name])


def test_every_difference_is_listed_by_name(state):
    given = {key: value for key, value in state.items() if key != "layer4.2.bn3.weight"}
    given.update({"extra.weight": np.zeros(1), "extra.num_batches_tracked": np.array(1), "fc.bias": np.zeros(7)})
    with pytest.raises(UserError) as caught:
        convert("resnet101", given, "given.pth")
    for part in (
        "given.pth: is not torchvision's resnet101",
        "1 missing (layer4.2.bn3.weight)",
        "2 not of this network (extra.num_batches_tracked, extra.weight)",
        "1 of another shape (fc.bias has shape (7,), expected (1000,))",
    ):
        assert part in str(caught.value)


def test_the_other_network_is_recognized(state):
    with pytest.raises(UserError, match=r"is not torchvision's vgg16 but its resnet101 \(--encoder resnet101\)"):
        convert("vgg16", state, "file")


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_taken_where_float32_holds_them_exactly(state, dtype):
    given = dict(state, **{"bn1.bias": np.linspace(-1, 1, 64).astype("float16").astype(dtype)})
    values, _ = convert("resnet101", given, "file")
    assert values["bn1.beta"].dtype == np.float32
    np.testing.assert_array_equal(values["bn1.beta"], given["bn1.bias"])


@pytest.mark.parametrize("value", [np.full(64, 0.1), np.full(64, 1e300), np.full(64, np.nan), np.ones(64, "int64")])
def test_values_that_would_change_are_refused(state, value):
    with pytest.raises(UserError, match=r"1 tensors hold values .* not the same in float32: bn1\.bias"):
        convert("resnet101", dict(state, **{"bn1.bias": value}), "file")


def test_an_existing_file_is_left_alone(tmp_path):
    (tmp_path / "out.params").write_text("mine")
    with pytest.raises(UserError, match=r"out\.params: exists already"):
        run_tool("--encoder", "vgg16", tmp_path / "in.pth", "--out", tmp_path / "out.params")
    assert (tmp_path / "out.params").read_text() == "mine"


def test_the_tool_says_what_it_read_and_wrote(state, tmp_path, capsys):
    given, out = tmp_path / "resnet101.safetensors", tmp_path / "resnet101.params"
    save_file(state, str(given))
    run_tool("--encoder", "resnet101", given, "--out", out)
    printed = capsys.readouterr().out
    for part in (sha256(given), sha256(out), "522 converted, 104 counters", f"{{encoder: resnet101, weights: {out}}}"):
        assert part in printed
    assert {path.suffix for path in tmp_path.iterdir()} == {".params", ".sha256", ".safetensors"}


def test_a_truncated_file_ends_the_tool_with_one_line(tmp_path):
    given, out = tmp_path / "x.safetensors", tmp_path / "x.params"
    save_file({"a": np.zeros(1000)}, str(given))
    given.write_bytes(given.read_bytes()[:-1])
    command = [sys.executable, str(TOOL), "--encoder", "vgg16", str(given), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [done.stderr.splitlines()[-1]]
    assert "x.safetensors: is no complete safetensors file" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("encoder", ["resnet101", "vgg16"])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_real_file_of_torchvision(tmp_path, encoder, form):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    from make_torchvision_golden import filled, outputs

    network, _ = filled(encoder)
    given, out = tmp_path / "given.pth", tmp_path / "out.params"
    torch.save(network.state_dict(), str(given), _use_new_zipfile_serialization=form == "zip")
    run_tool("--encoder", encoder, given, "--out", out)
    net = segmenter(encoder)
    load_imagenet(net, out)
    with torch.no_grad():
        expected = outputs(encoder, network)
    maps = net.encode(nd.array(golden_image(149, 107)))
    found = {f"c{i}": value.asnumpy()[SAMPLE] for i, value in enumerate(maps, start=1)}
    if encoder == "vgg16":
        found["fc6"] = net.encode(nd.array(golden_image(224, 224)))[3].asnumpy()[:, :, 3, 3]
    for name, value in expected.items():
        difference = np.abs(found[name] - value).max()
        print(f"{encoder} {name}: largest difference {difference:.2e}, largest value {np.abs(value).max():.2f}")
        assert_close(found[name], value)
