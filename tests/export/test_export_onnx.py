"""Export to ONNX: what ONNX Runtime computes is what MXNet does, and what is not is refused."""

import json
import re
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from conftest import ROOT
from mxnet import nd
from PIL import Image

from gluon_madapt import __version__
from gluon_madapt.data import normalize
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.evaluation import predict_labels, predict_probabilities
from gluon_madapt.export.packages import require_packages
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import ClassSet, class_set
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.trained import load_trained
from gluon_madapt.weights.golden import golden_weight

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def golden_file(encoder, classes, path):
    """Write a parameter file of the weights behind the golden files."""
    net = Segmenter(encoder, classes)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    for key, param in net._collect_params_with_prefix().items():
        param.set_data(nd.array(golden_weight(key, param.shape)))
    nd.waitall()
    net.save_parameters(str(path))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return golden_file("small", 19, tmp_path_factory.mktemp("weights") / "small.params")


def export(trained, size, path):
    from gluon_madapt.export.onnx_file import write_onnx

    return write_onnx(trained, *size, path)


def street(world, size):
    path = next((world / "cityscapes" / "leftImg8bit" / "val").rglob("*.png"))
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(size[::-1]))


def assert_same_results(path, net, image):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits, labels = session.run(["logits", "labels"], {"image": image[None]})
    assert (logits.dtype, labels.dtype) == (np.float32, np.uint8)
    assert labels.shape == (1, *image.shape[:2])
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    batch = nd.array(normalize(image)[None])
    expected = predict_probabilities(net, batch, scales=(1.0,), mirror=False).asnumpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    second, first = np.sort(expected[0], axis=0)[-2:]
    sure = first - second > 2e-5
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(labels[0][sure], predict_labels(net, image, mx.cpu())[sure])


def call(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "export_onnx.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 96), (71, 130)])
def test_any_size_gives_what_the_evaluation_does(small, tiny_world, tmp_path, size):
    trained = load_trained(small, mx.cpu())
    differences = export(trained, size, tmp_path / "model.onnx")
    assert max(differences.values()) < 1e-5
    assert_same_results(tmp_path / "model.onnx", trained.net, street(tiny_world, size))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "classes"), [("resnet101", 19), ("vgg16", 16)])
def test_the_paper_s_encoders(encoder, classes, tiny_world, tmp_path):
    trained = load_trained(golden_file(encoder, classes, tmp_path / "golden.params"), mx.cpu())
    for size in ((32, 45), (97, 161)):
        path = tmp_path / f"{size}.onnx"
        assert max(export(trained, size, path).values()) < 1e-5
        assert_same_results(path, trained.net, street(tiny_world, size))


def test_the_file_says_what_it_is(small, tmp_path):
    trained = load_trained(small, mx.cpu())
    classes = ClassSet(("Straße", *class_set(19).names[1:]), class_set(19).palette, {})
    export(trained._replace(classes=classes, short_side=48), (32, 64), tmp_path / "model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"))
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["class_names"]) == list(classes.names)
    assert json.loads(about["palette"]) == classes.palette.tolist()
    assert json.loads(about["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(about["std"]) == [0.229, 0.224, 0.225]
    found = [
        about[key] for key in ("scale", "colour_order", "input_layout", "height", "width", "encoder", "short_side")
    ]
    assert found == ["1/255", "RGB", "NHWC", "32", "64", "small", "48"]
    assert about["checkpoint_sha256"] == sha256(small)
    assert about["exported_by"].startswith(__version__)
    assert "stage" not in about
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 13)]
    assert (model.producer_name, model.producer_version) == ("gluon_madapt", __version__)
    assert [one.name for one in model.graph.input] == ["image"]
    assert set(trained.net._collect_params_with_prefix()) <= {one.name for one in model.graph.initializer}


def test_a_graph_that_computes_something_else_is_not_written(small, tmp_path, monkeypatch):
    from gluon_madapt.export import graph

    monkeypatch.setattr(graph, "STD", graph.STD * np.float32(1.01))
    with pytest.raises(FailureError, match="scores of noise are .* of their range from MXNet's.*nothing was written"):
        export(load_trained(small, mx.cpu()), (32, 32), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_labels_of_other_classes_are_not_written(small, tmp_path, monkeypatch):
    from gluon_madapt.export import graph

    monkeypatch.setattr(graph.sym, "argmax", graph.sym.argmin)
    with pytest.raises(FailureError, match="labels of noise are not those of its scores"):
        export(load_trained(small, mx.cpu()), (32, 32), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_scores_that_are_not_finite_are_not_written(small, tmp_path):
    trained = load_trained(small, mx.cpu())
    trained.net.classifier.b1.bias.set_data(nd.full((19,), np.nan))
    with pytest.raises(FailureError, match="nan of their range"):
        export(trained, (32, 32), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs onnxruntime, not installed here: EXTRAS=cpu,dev,onnx make setup"):
        require_packages()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match="needs onnx and onnxruntime"):
        require_packages()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"height": 31}, "--height: 31: expected a whole number of pixels, 32 or more"),
        ({"width": "wide"}, "--width: wide: expected"),
        ({"height": 20000, "width": 20000}, "expected 134217728 pixels at most"),
        ({"out": "."}, "--out .: exists already, and is left alone"),
        ({"checkpoint": "no.npz"}, "no.npz"),
    ],
)
def test_what_the_user_can_mend_is_one_line(small, tmp_path, changed, message):
    given = {"checkpoint": small, "height": 32, "width": 32, "out": tmp_path / "model.onnx", **changed}
    done = call(*(word for key, value in given.items() for word in (f"--{key}", value)))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_documented_snippet_runs_what_the_tool_wrote(small, tiny_world, tmp_path):
    blocks = PYTHON_BLOCK.findall((ROOT / "docs" / "onnx.md").read_text(encoding="utf-8"))
    (snippet,) = [block for block in blocks if "onnxruntime" in block]
    done = call("--checkpoint", small, "--height", 50, "--width", 99, "--out", tmp_path / "model.onnx")
    assert done.returncode == 0, done.stderr
    image = street(tiny_world, (50, 99))
    Image.fromarray(image).save(tmp_path / "street.png")
    without = "import sys; sys.modules.update(mxnet=None, gluoncv=None, gluon_madapt=None, onnx=None)\n"
    command = [sys.executable, "-c", without + snippet]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "% of the image" in ran.stdout
    with Image.open(tmp_path / "labels.png") as painted:
        colours = np.asarray(painted)
    expected = class_set(19).palette[predict_labels(load_trained(small).net, image, mx.cpu())]
    assert (colours == expected).all(axis=2).mean() > 0.999
