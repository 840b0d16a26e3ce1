"""What is computed in one precision is never taken for the other's, and what says nothing is float32."""

import shutil

import cv2
import numpy as np
import pytest
from prediction_runs import predict
from small_experiments import small_experiment

from gluon_madapt import models, precision
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import in_words, score_stage
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json, write_json
from gluon_madapt.precision import has_bfloat16
from gluon_madapt.prediction import Predictor
from gluon_madapt.prediction.folder import Folder
from gluon_madapt.proxy_maps.cache import Shard
from gluon_madapt.report.facts import facts_of
from gluon_madapt.report.scored import scores_in
from gluon_madapt.reproduction.plan import Step
from gluon_madapt.reproduction.reuse import scores_of
from gluon_madapt.run_layout import score_file
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source

pytestmark = pytest.mark.skipif(not has_bfloat16(), reason="no instructions for bfloat16")
HALF = ("evaluation.precision=bfloat16", "proxies.precision=bfloat16")


@pytest.fixture(scope="module")
def folder(tiny_world, tmp_path_factory):
    out = tmp_path_factory.mktemp("precision") / "run"
    for stage in (train_source, train_adversarial):
        stage(Run(small_experiment(tiny_world, iterations=1), out))
    return out


def test_scores(folder, tiny_world):
    runs = {one: Run(small_experiment(tiny_world, *more, iterations=1), folder) for one, more in ((32, ()), (16, HALF))}
    checkpoint, steps = folder / "source" / "checkpoint.npz", {}
    for bits, run in runs.items():
        path = folder / "scores" / f"{bits}.json"
        scores = score_stage(run, load_any_segmenter(run, checkpoint)[0], "source", False)
        write_json(path, dict(scores, checkpoint_sha256=sha256(checkpoint), seed=run.experiment.seed))
        steps[bits] = Step("x", run, "source", (), (), path, checkpoint)
        assert scores_of(steps[bits])
        assert ("bfloat16" in in_words(scores["protocol"])) == (bits == 16)
    for bits, run in runs.items():
        (other,) = runs.keys() - {bits}
        assert scores_of(steps[other]._replace(run=run)) is None
    former = read_json(steps[32].scores)
    del former["protocol"]["precision"]
    write_json(steps[32].scores, former)
    assert scores_of(steps[32])
    assert scores_of(steps[32]._replace(run=runs[16])) is None


def test_a_score_says_that_float32_was_used(folder, tiny_world, monkeypatch):
    run = Run(small_experiment(tiny_world, *HALF, iterations=1), folder)
    for agreement, expected in ((0, None), (1.001, "float32")):
        monkeypatch.setattr(precision, "AGREEMENT", agreement)
        net = load_any_segmenter(run, folder / "source" / "checkpoint.npz")[0]
        scores = score_stage(run, net, "source", True)
        assert scores.get("computed_in") == expected
        assert scores["protocol"]["precision"] == "bfloat16"


def test_stored_maps(folder, tiny_world):
    run, half = (Run(small_experiment(tiny_world, *more, iterations=1), folder) for more in ((), HALF[1:]))
    for first, second in ((run, half), (half, run)):
        make_proxies(Run(first.experiment, folder, fresh=True))
        with pytest.raises(UserError, match=r"precision was .*, now "):
            make_proxies(second)
        (folder / "proxies").rename(folder / f"proxies.{second.experiment.proxies.precision}")
        with pytest.raises(UserError, match=r"holds the network's maps of another precision"):
            make_proxies(second)


def test_all_maps_are_of_one_precision_whichever_image_a_process_begins_with(tiny_world, folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("*cache*", "*proxies*"))
    run, seen = Run(small_experiment(tiny_world, *HALF, iterations=1), tmp_path / "run"), []
    monkeypatch.setattr(models.bfloat16, "is_near", lambda expected, found: seen.append(expected) or True)
    for shard in (Shard(1, 2), Shard(2, 2)):
        make_proxies(Run(run.experiment, run.folder), shard=shard)
    assert np.array_equal(*seen), "each compares the first of all images"


def test_predictions_follow_what_the_first_image_has_decided(folder, tmp_path, monkeypatch):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.random.default_rng(ord(name)).integers(0, 256, (32, 64, 3)))
    for agreement, words in ((1.001, ["a.png"]), (0, ["a.png", "b.png"])):
        monkeypatch.setattr(precision, "AGREEMENT", agreement)
        predictor = Predictor.load(folder / "source", precision="bfloat16")
        predict(predictor, tmp_path / "out", *(tmp_path / word for word in words))
        assert predictor.computed_in == "float32"
    assert read_json(tmp_path / "out" / "predictions.json")["computed_in"] == "float32"


def test_the_report_compares_scores_of_one_precision(folder, tiny_world):
    run = Run(small_experiment(tiny_world, iterations=1), folder)
    checkpoint = folder / "adversarial" / "checkpoint.npz"
    for more, name in ((HALF, "adversarial_bfloat16"), ((), "adversarial")):
        one = Run(small_experiment(tiny_world, *more, iterations=1), folder)
        scores = score_stage(one, load_any_segmenter(one, checkpoint)[0], "adversarial", False)
        assert score_file("adversarial", False, one.experiment.evaluation.precision) == f"{name}.json"
        whole = dict(scores, checkpoint_sha256=sha256(checkpoint), seed=run.experiment.seed)
        write_json(folder / "scores" / f"{name}.json", whole)
    found = [one for one in scores_in(facts_of(run)) if one.stage == "adversarial"]
    assert [(("bfloat16" in one.protocol), one.comparable) for one in found] == [(False, True), (True, False)]


def test_predictions(tmp_path):
    made_by = {"checkpoint_sha256": "0", "top_k": 0, "short_side": None, "scales": [1.0], "mirror": False}
    made_by.update(ids="train", alpha=0.5, every=1)
    with Folder(tmp_path / "out", dict(made_by, precision="float32")) as one:
        write_json(one.path / "predictions.json", made_by)
    with Folder(tmp_path / "out", dict(made_by, precision="float32")):
        pass
    with pytest.raises(UserError, match="precision was float32, now bfloat16"):
        Folder(tmp_path / "out", dict(made_by, precision="bfloat16"))
