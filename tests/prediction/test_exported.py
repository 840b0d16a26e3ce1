"""An exported file predicts what the checkpoint does, in either runtime, and without MXNet."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT
from small_experiments import run_stages

from gluon_madapt import precision
from gluon_madapt.errors import UserError
from gluon_madapt.prediction import Predictor, runtimes
from gluon_madapt.stages import train_source

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
KINDS = {pair[0]: pair for pair in runtimes._RUNTIMES}
HEIGHT, WIDTH = 32, 64


@pytest.fixture(scope="module")
def source(tiny_world, tmp_path_factory):
    """Trained for so long that its scores come near those in use, 12 to 17: float32 rounds larger ones more."""
    folder = tmp_path_factory.mktemp("exported")
    run_stages(tiny_world, folder, train_source, iterations=30)
    return folder / "source"


@pytest.fixture(scope="module")
def exported(source):
    return export(source)


@pytest.fixture(scope="module")
def untrained(tiny_world, tmp_path_factory):
    """Exported after an iteration: its scores are large, and those of bfloat16 differ."""
    folder = tmp_path_factory.mktemp("untrained")
    run_stages(tiny_world, folder, train_source)
    return export(folder / "source")


def export(source):
    import mxnet as mx

    from gluon_madapt.export.onnx_file import write_onnx
    from gluon_madapt.runs.trained import load_trained

    path = source / "model.onnx"
    write_onnx(load_trained(source, mx.cpu()), HEIGHT, WIDTH, path)
    return path


@pytest.fixture(params=KINDS)
def runtime(request, monkeypatch):
    pytest.importorskip(request.param)
    monkeypatch.setattr(runtimes, "_RUNTIMES", (KINDS[request.param],))
    return request.param


@pytest.fixture
def only_onnx_runtime(monkeypatch):
    monkeypatch.setattr(runtimes, "_RUNTIMES", (KINDS["onnxruntime"],))


def picture(height=HEIGHT, width=WIDTH, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(32, 64), (64, 128), (96, 192), (16, 32), (48, 96)])
def test_it_predicts_what_the_checkpoint_does(source, exported, runtime, size):
    ours, theirs = Predictor.load(source, short_side=HEIGHT), Predictor.load(exported)
    assert ours.settings == theirs.settings
    for seed in range(2):
        expected, found = (one(picture(*size, seed), top_k=2) for one in (ours, theirs))
        assert (expected.labels == found.labels).mean() > 0.998, "but where two classes are as likely"
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)
        np.testing.assert_allclose(found.top_probabilities, expected.top_probabilities, atol=1e-3)
    assert {key: ours.origin[key] for key in ("stage", "iteration", "seed", "code")}.items() <= theirs.origin.items()
    assert ours.classes.names == theirs.classes.names
    assert ours.classes.label_ids == theirs.classes.label_ids
    assert np.array_equal(ours.classes.palette, theirs.classes.palette)


def test_an_image_of_its_own_size_is_not_resized(source, exported, runtime):
    own = Predictor.load(exported, short_side="own")
    expected = Predictor.load(source, short_side="own")(picture())
    np.testing.assert_allclose(own(picture()).confidence, expected.confidence, atol=1e-5)
    with pytest.raises(UserError, match="128x64 pixels would be 128x64 to the network, and .* is for 64x32 alone"):
        own(picture(64, 128))


@pytest.mark.parametrize(("size", "said"), [((32, 65), "65x32"), ((64, 64), "32x32"), ((64, 32), "32x64")])
def test_images_of_another_shape_are_refused(exported, only_onnx_runtime, size, said):
    with pytest.raises(UserError, match=f"pixels would be {said} to the network.*export that size"):
        Predictor.load(exported)(picture(*size))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"multi_scale": True}, "is for images of one size"),
        ({"device": "gpu(0)"}, r"not on gpu\(0\)"),
        ({"precision": "bfloat16"}, "ONNX Runtime .* does not compute in bfloat16: install OpenVINO"),
    ],
)
def test_what_it_cannot_do_is_refused(exported, only_onnx_runtime, monkeypatch, how, said):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    with pytest.raises(UserError, match=said):
        Predictor.load(exported, **how)


def test_other_files_are_refused(exported, runtime, tmp_path):
    whole = exported.read_bytes()
    damaged, foreign, former = (tmp_path / f"{name}.onnx" for name in ("damaged", "foreign", "former"))
    damaged.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match=r"damaged\.onnx: is no complete ONNX file"):
        Predictor.load(damaged)
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, foreign)
    with pytest.raises(UserError, match=r"foreign\.onnx: does not say what its classes are"):
        Predictor.load(foreign)
    model = onnx.load(exported)
    (place,) = [place for place, output in enumerate(model.graph.output) if output.name == "scores"]
    del model.graph.output[place]
    onnx.save(model, former)
    with pytest.raises(UserError, match=r"former\.onnx: was exported by an earlier version"):
        Predictor.load(former)
    with pytest.raises(UserError, match="no such file"):
        Predictor.load(tmp_path / "nowhere.onnx")


def test_without_a_runtime_it_says_what_to_install(exported, monkeypatch):
    monkeypatch.setattr(runtimes.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="neither is installed here: .*openvino"):
        Predictor.load(exported)


BFLOAT16 = """
import signal, sys
import numpy as np
from gluon_madapt import precision
from gluon_madapt.prediction import Predictor
precision.AGREEMENT = float(sys.argv[2])
whole, half = Predictor.load(sys.argv[1]), Predictor.load(sys.argv[1], precision="bfloat16")
for seed in range(2):
    image = np.random.default_rng(seed).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    print(np.abs(whole(image).confidence - half(image).confidence).max())
print(half.computed_in)
"""


@pytest.mark.skipif(not precision.has_bfloat16(), reason="no instructions for bfloat16")
@pytest.mark.parametrize("agreement", [0, 1.001])
def test_bfloat16_is_near_or_not_used(untrained, agreement):
    """In a process without MXNet, as the command is: OpenVINO's bfloat16 and MXNet do not get on in one."""
    pytest.importorskip("openvino")
    command = [sys.executable, "-c", BFLOAT16, str(untrained), str(agreement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    *differences, used = done.stdout.split()
    for difference in map(float, differences):
        assert (1e-5 < difference < 0.1) if agreement == 0 else difference == 0
    assert used == ("bfloat16" if agreement == 0 else "float32")
    assert ("float32 is used" in done.stderr) == (agreement > 1)


def test_the_command_needs_no_mxnet(exported, tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), picture())
    code = (
        "import os, runpy, sys\n"
        "sys.modules['mxnet'] = sys.modules['gluoncv'] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    tool, words = str(ROOT / "tools" / "predict.py"), [str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", code, tool, *words, "--checkpoint", str(exported)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/out: 1 images predicted\n"), done.stderr
    assert (tmp_path / "out" / "labels" / "a.png").exists()
