"""Images and videos in, labels out: the evaluation's to the last bit; nothing lost, mixed up or done twice."""

import json
import os
import shutil
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from broken_images import IMAGES, encoded, picture
from conftest import ROOT
from prediction_runs import made, predict, put, random_model, read
from small_experiments import small_experiment

from gluon_madapt.data.image_files import read_image
from gluon_madapt.data.label_files import read_label
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.evaluation import ConfusionMatrix, summary
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.labels import ClassSet, class_set, colourize, encode_ids, label_map
from gluon_madapt.models import image_sizes
from gluon_madapt.prediction import Predictor, predictor
from gluon_madapt.prediction.inputs import find_sources
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages import Run

SIZES = ((1, 1), (7, 500), (33, 65), (64, 96), (500, 7), (128, 256))


@pytest.mark.parametrize("multi_scale", [False, True])
@pytest.mark.parametrize("stage", ["source", "adversarial", "retrain"])
def test_predictions_score_what_the_evaluation_says(four_stages, tiny_world, tmp_path, stage, multi_scale):
    run = Run(small_experiment(tiny_world), four_stages)
    net, _ = load_any_segmenter(run, run.folder / stage / "checkpoint.npz")
    expected = score_stage(run, net, stage, multi_scale)
    val = tiny_world / "cityscapes" / "leftImg8bit" / "val"
    predict(Predictor.load(four_stages / stage, multi_scale), tmp_path / "out", val)
    matrix = ConfusionMatrix(19)
    for sample in run.dataset("val", labelled=True).samples:
        label = read_label(sample.label, label_map("cityscapes", class_set(19)))
        matrix.add(label, read(tmp_path / "out" / "labels" / sample.name))
    assert matrix.counts.sum() > 0
    assert {**expected, **summary(matrix, class_set(19))} == expected


@pytest.mark.parametrize("multi_scale", [False, True])
def test_what_an_image_gets_depends_on_no_other_image(four_stages, multi_scale):
    pictures = [picture(*size, seed=place) for place, size in enumerate(SIZES)]
    alone = [Predictor.load(four_stages, multi_scale)(one, top_k=2) for one in pictures]
    together = Predictor.load(four_stages, multi_scale)
    for order in (range(len(SIZES)), reversed(range(len(SIZES)))):
        for place in order:
            for found, expected in zip(together(pictures[place], top_k=2), alone[place]):
                np.testing.assert_array_equal(found, expected)


def test_a_model_in_a_notebook(model, images):
    found = model(images / "a.png", top_k=3)
    assert (found.labels.shape, found.labels.dtype) == ((64, 96), np.uint8)
    np.testing.assert_array_equal(found.top_ids[0], found.labels)
    np.testing.assert_array_equal(found.top_probabilities[0], found.confidence.astype(np.float16))
    assert (np.diff(found.top_probabilities.astype(np.float32), axis=0) <= 0).all()
    assert len(np.unique(found.top_ids[:, 0, 0])) == 3
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8 RGB"):
        model(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="there are 19 classes"):
        model(picture(), top_k=20)


def test_equal_probabilities_are_ranked_by_their_ids():
    ids, values = predictor._top(np.full((4, 2, 3), 0.25, dtype=np.float32), 4)
    assert ids[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert (values == 0.25).all()


def test_the_files_of_an_image(model, images, tmp_path):
    predict(model, tmp_path / "out", images, confidence=True, top_k=2, ids="cityscapes", alpha=0.25)
    out, classes = tmp_path / "out", class_set(19)
    kinds = {"labels": ".png", "colours": ".png", "overlays": ".png", "confidence": ".png", "top_k": ".npz"}
    expected = {f"{kind}/{name}{suffix}" for kind, suffix in kinds.items() for name in ("a", "below/b", "below/c")}
    assert made(out) == expected | {"classes.json", "predictions.json", "legend.png", "log.jsonl", ".lock"}
    image, found = read_image(images / "below" / "b.png"), model(images / "below" / "b.png", top_k=2)
    np.testing.assert_array_equal(
        read(out / "labels" / "below" / "b.png"), encode_ids(found.labels, "cityscapes", classes)
    )
    colours = read(out / "colours" / "below" / "b.png")
    np.testing.assert_array_equal(colours, colourize(found.labels, classes))
    blend = 0.75 * image + 0.25 * colours
    assert np.abs(read(out / "overlays" / "below" / "b.png") - blend).max() <= 0.5
    assert np.abs(read(out / "confidence" / "below" / "b.png") / 255 - found.confidence).max() <= 0.5001 / 255
    with np.load(out / "top_k" / "below" / "b.npz") as stored:
        np.testing.assert_array_equal(stored["ids"], encode_ids(found.top_ids, "cityscapes", classes))
        np.testing.assert_array_equal(stored["probabilities"], found.top_probabilities)
    listed = json.loads((out / "classes.json").read_text())
    assert listed["classes"][13] == {"id": 26, "name": "car", "colour": [0, 0, 142]}
    by = json.loads((out / "predictions.json").read_text())
    assert by["checkpoint_sha256"] == model.origin["checkpoint_sha256"]
    assert (by["short_side"], by["scales"], by["mirror"], by["ids"]) == (None, [1.0], False, "cityscapes")


def test_classes_of_ones_own(images, tmp_path):
    classes = ClassSet(("ice", "$now$", "sea"), np.array([(255, 255, 255), (9, 9, 9), (0, 0, 99)], np.uint8), {})
    own = random_model(classes)
    predict(own, tmp_path / "out", images)
    assert set(np.unique(read(tmp_path / "out" / "labels" / "a.png"))) <= {0, 1, 2}
    with pytest.raises(UserError, match="not those of cityscapes"):
        predict(own, tmp_path / "ids", images, ids="cityscapes")
    with pytest.raises(UserError, match="--top-k 4: the model has 3 classes"):
        predict(own, tmp_path / "top", images, top_k=4)
    assert not (tmp_path / "ids").exists()
    assert not (tmp_path / "top").exists()


def test_the_network_sees_what_was_asked_for(four_stages):
    source = four_stages / "source"
    assert Predictor.load(source).settings["short_side"] == 32
    assert Predictor.load(source, short_side=48).settings["short_side"] == 48
    assert Predictor.load(source, short_side="own").settings["short_side"] is None
    with pytest.raises(UserError, match="device tpu: expected auto"):
        Predictor.load(source, device="tpu")


def test_sizes_that_the_network_cannot_take_are_one_line(four_stages):
    enlarging = Predictor.load(four_stages, short_side=512)
    with pytest.raises(UserError, match=r"5000x1 pixels are too many.* 2560000x512 .*smaller short side"):
        enlarging(picture(1, 5000))
    vgg = Predictor.load(four_stages, multi_scale=True)
    vgg._model.origin = dict(vgg.origin, encoder="vgg16")
    with pytest.raises(UserError, match="65x33 pixels are too small: .* 32 or more and would be 23.* 46 or more"):
        vgg(picture(33, 65))
    vgg(picture(46, 65))


@pytest.mark.slow
def test_vgg_fails_below_the_size_that_is_refused(monkeypatch):
    vgg = random_model(class_set(19), "vgg16")
    assert vgg(picture(32, 33)).labels.shape == (32, 33)
    monkeypatch.setattr(image_sizes, "_LEAST_SIDE", {})
    with pytest.raises(UserError, match="33x31 pixels: MXNet fails"):
        vgg(picture(31, 33))


@pytest.mark.parametrize("kind", IMAGES)
def test_every_kind_of_image(model, tmp_path, caplog, kind):
    content, expected = IMAGES[kind]
    path = put(tmp_path / "in" / "one.png", content)
    put(tmp_path / "in" / "other.png", encoded(picture()))
    counts = predict(model, tmp_path / "out", tmp_path / "in")
    assert counts.broken == ([path] if expected is None else [])
    assert (tmp_path / "out" / "labels" / "other.png").exists(), "the others are predicted"
    if expected is None:
        assert f"warning: {path}: " in caplog.text
        assert not (tmp_path / "out" / "labels" / "one.png").exists()
    else:
        assert read(tmp_path / "out" / "labels" / "one.png").shape == expected.shape[:2]


def test_names_of_all_kinds(model, tmp_path):
    names = ("-dash", "sp ace", "q'uo\"te", "ü\u0416", "new\nline", "a[1]", "%s $x", "no.suffix.but.dots")
    for name in (*names, os.fsdecode(b"\xff")):
        put(tmp_path / "in" / "*" / f"{name}.png", encoded(picture(8, 8)))
    assert predict(model, tmp_path / "out", tmp_path / "in").predicted == len(names) + 1
    assert {path.stem for path in (tmp_path / "out" / "labels" / "*").iterdir()} == {*names, os.fsdecode(b"\xff")}
    assert predict(model, tmp_path / "out", tmp_path / "in").before == len(names) + 1
    assert [one.name for one in find_sources([str(tmp_path / "in" / "*" / "a[1].png")])] == ["a[1]"]


def test_what_is_named_is_found_and_called_by_its_path(images):
    def names(*words):
        return [source.name for source in find_sources([str(images / word) for word in words])]

    assert names("") == names("**/*.png") == names("**") == ["a", "below/b", "below/c"]
    assert names("below") == names("below/*.png") == ["b", "c"]
    assert names("*/b.png") == ["below/b"]
    assert names("below/c.png", "a.png", "below/c.png") == ["c", "a"]


def test_nothing_and_what_collides_is_refused_before_anything_is_done(images):
    def refused(*words):
        with pytest.raises(UserError) as error:
            find_sources([str(images / word) for word in words])
        return str(error.value)

    (images / "empty").mkdir()
    assert "holds no images" in refused("empty")
    assert "no such file" in refused("nowhere.png")
    assert "matches no images" in refused("*.jpg")
    assert "after a wildcard" in refused("*/../a.png")
    put(images / "other" / "b.png", encoded(picture()))
    assert "b.png and " in refused("below/b.png", "other/b.png")
    put(images / "a.jpg", encoded(picture(), "JPEG"))
    assert "would have one name, a:" in refused("")
    put(images / "below.mp4", b"")
    assert "would be in below/" in refused("below.mp4", "*/b.png")


def test_predictions_are_no_inputs(model, images):
    for _ in range(2):
        predict(model, images / "out", images)
        assert {source.name for source in find_sources([str(images)])} == {"a", "below/b", "below/c"}
    assert {one.name for one in find_sources([str(images / "**")])} == {"a", "below/b", "below/c"}
    with pytest.raises(UserError, match="holds predictions"):
        find_sources([str(images / "out")])


def test_scores_that_are_not_finite_stop_it_by_name(images, tmp_path):
    broken = random_model(class_set(19))
    broken._model._net.classifier.collect_params().setattr("grad_req", "null")
    for parameter in broken._model._net.classifier.collect_params().values():
        parameter.set_data(mx.nd.full(parameter.shape, np.nan))
    broken._model._net.compile_for_inference()
    with pytest.raises(FailureError, match=r"a\.png: class probabilities must be finite"):
        predict(broken, tmp_path / "out", images)


def call(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "predict.py"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def test_the_command(four_stages, images, tmp_path):
    done = call(images, "--checkpoint", four_stages, "--out", tmp_path / "out", "--no-pictures")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/out: 3 images predicted\n"), done.stderr
    assert {name.split("/")[0] for name in made(tmp_path / "out")} >= {"labels", "classes.json"}
    assert not (tmp_path / "out" / "colours").exists()
    shutil.copy(images / "a.png", images / "d.png")
    put(images / "broken.png", b"no image")
    done = call(images, "--checkpoint", four_stages, "--out", tmp_path / "out", "--no-pictures")
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path}/out: 1 images predicted, 3 were there before\n"
    assert (
        done.stderr.splitlines()[-1] == "error: 1 of 5 inputs were not predicted, or not to their end: see the warnings"
    )
    done = call(images, "--checkpoint", images / "a.png", "--out", tmp_path / "other")
    assert done.returncode == 2
    assert "a.png: is no complete MXNet parameter file" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "other").exists()
