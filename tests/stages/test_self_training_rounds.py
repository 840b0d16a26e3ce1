"""Rounds of class-balanced self-training: portions, whose labels, what each goes on from, and its pages."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT
from interrupted import assert_same, interrupted_in_iteration_4
from report_runs import page_of
from small_experiments import CONFIG, small_experiment

from gluon_madapt.config import ConfigError, load_experiment, stated_settings
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies import compute_thresholds, label_image, portion_of_round
from gluon_madapt.report.examples import focused
from gluon_madapt.report.facts import facts_of, outdated, stored_run
from gluon_madapt.report.overview import stage_rows, what_is_missing
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.runs.rounds import of_one_round
from gluon_madapt.runs.run import Run
from gluon_madapt.stages import make_proxies, retrain, train_source
from gluon_madapt.training.checkpoint import read_checkpoint

SETTINGS = stated_settings(ROOT / "configs" / "ablations" / "class_balanced.yaml")
ROUNDS = (1, 2, 3)


def test_portions_grow_by_what_is_written_up_to_the_most():
    assert [portion_of_round(0.2, 0.05, 0.5, number) for number in (1, 2, 3, 4, 7, 8, 99)] == [
        0.2,
        0.25,
        0.3,
        0.35,
        0.5,
        0.5,
        0.5,
    ]
    assert portion_of_round(0.8, 0.0, 1.0, 3) == 0.8
    assert 0.2 + 2 * 0.05 != 0.3, "which is why it is not added up so"


def by_their_algorithm(probabilities, portion):
    """Label images as CBST's Algorithm 2 and its solution for the labels are printed: sort, count, divide."""
    best, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    threshold = np.ones(probabilities.shape[1], dtype="f4")
    for label in range(len(threshold)):
        ranked = np.sort(score[best == label])[::-1]
        if len(ranked):
            threshold[label] = ranked[int(round(portion * 100) * len(ranked) // 100)]
    ratio = probabilities / threshold[:, None, None]
    return np.where(ratio.max(axis=1) > 1, ratio.argmax(axis=1), IGNORE)


@pytest.mark.parametrize("number", [1, 2, 3, 6, 7, 9])
def test_the_papers_rule_at_p1_1_and_a_growing_p2_is_that_of_class_balanced_self_training(number):
    rng = np.random.default_rng(number)
    scores = np.exp(2 * rng.normal(size=(3, 5, 20, 30)) + np.arange(5)[:, None, None])  # some classes are frequent
    probabilities = (scores / scores.sum(axis=1, keepdims=True)).astype("f4")
    portion = portion_of_round(0.2, 0.05, 0.5, number)
    certain = np.zeros((20, 30), dtype="f4")  # of no discriminators
    thresholds = compute_thresholds([(one, certain) for one in probabilities], 1.0, portion)
    expected = by_their_algorithm(probabilities, portion)
    labels = [label_image(one, certain, thresholds) for one in probabilities]
    np.testing.assert_array_equal(labels, expected)
    assert 0 < (expected != IGNORE).mean() < 1
    assert len(set(expected[expected != IGNORE])) == 5, "no class is left out"


def experiment_of(world, *overrides, iterations=2):
    return small_experiment(world, *SETTINGS, "retrain.rounds=1", *overrides, iterations=iterations)


@pytest.fixture(scope="module")
def rounds(tiny_world, tmp_path_factory):
    """Three rounds of self-training, by the stages themselves."""
    folder = tmp_path_factory.mktemp("rounds")
    experiment = experiment_of(tiny_world)
    train_source(Run(experiment, folder))
    for number in ROUNDS:
        make_proxies(Run(experiment, folder, number=number))
        retrain(Run(experiment, folder, number=number))
    return folder


def read(path):
    return json.loads(path.read_text())


def test_each_round_is_labelled_by_the_model_trained_last_and_goes_on_from_it(rounds):
    before = rounds / "source" / "checkpoint.npz"
    for number in ROUNDS:
        folder = rounds if number == 1 else rounds / f"round-{number}"
        record, learnt = read(folder / "proxies" / "proxies.json"), read(folder / "retrain" / "inputs.json")
        assert record["made_from"]["checkpoint"] == learnt["start"] == sha256(before)
        assert record["made_from"]["discriminators"] == []
        assert (record["p1"], record["p2"]) == (1.0, [0.2, 0.25, 0.3][number - 1])
        assert record["share_labelled"] == pytest.approx(record["p2"], abs=0.01)
        assert not (folder / "adversarial").exists()
        before = folder / "retrain" / "checkpoint.npz"
        assert read_checkpoint(before).meta["iteration"] == 2


def test_a_stage_says_what_both_domains_were_and_what_it_took(rounds):
    inputs, metrics = read(rounds / "retrain" / "inputs.json"), read(rounds / "retrain" / "metrics.json")
    assert {"source", "images", "proxies", "start"} <= set(inputs)
    assert (metrics["source_images"], metrics["images"]) == (6, 4)
    assert 0 < metrics["peak_memory_gib"] < 100
    assert read(rounds / "proxies" / "cost.json")["seconds"] > 0
    entry = json.loads((rounds / "retrain" / "log.jsonl").read_text().splitlines()[-1])
    assert entry["segmentation"] == pytest.approx(entry["segmentation_source"] + entry["segmentation_target"])


def test_other_source_images_are_noticed(rounds, tiny_world, tmp_path):
    shutil.copytree(rounds, tmp_path / "run")
    world = tmp_path / "world"
    shutil.copytree(tiny_world, world)
    image = next((world / "gta5" / "images").glob("*.png"))
    image.write_bytes(image.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"made from\.source was"):
        retrain(Run(experiment_of(world), tmp_path / "run"))


def test_a_training_on_both_domains_ends_bitwise_the_same_after_a_stop(rounds, tiny_world, tmp_path):
    for name in ("source", "proxies"):
        (tmp_path / name).symlink_to(rounds / name)
    straight = tmp_path / "straight"
    straight.mkdir()
    for name in ("source", "proxies"):
        (straight / name).symlink_to(rounds / name)
    experiment = experiment_of(tiny_world, iterations=5)
    experiment = experiment.model_copy(update={"source": experiment_of(tiny_world).source})
    retrain(Run(experiment, straight))
    with interrupted_in_iteration_4():
        retrain(Run(experiment, tmp_path))
    retrain(Run(experiment, tmp_path))
    assert_same(tmp_path / "retrain" / "checkpoint.npz", straight / "retrain" / "checkpoint.npz")


def test_a_broken_source_image_is_replaced(rounds, tiny_world, tmp_path):
    world, run = tmp_path / "world", tmp_path / "run"
    shutil.copytree(tiny_world, world)
    shutil.copytree(rounds, run, ignore=shutil.ignore_patterns("retrain", "round-*"))
    broken = next((world / "gta5" / "images").glob("*.png"))
    broken.write_bytes(broken.read_bytes()[:-50])
    retrain(Run(experiment_of(world, "data.on_error=skip", iterations=3), run, number=1))
    assert sum(read(run / "retrain" / "metrics.json")["replaced"].values()) > 0


def test_rounds_share_the_iterations():
    settings = load_experiment(CONFIG, ["retrain.iterations=1000", "retrain.rounds=3"]).retrain
    assert of_one_round(settings).iterations == 334
    plain = load_experiment(CONFIG)
    assert of_one_round(plain.retrain) is plain.retrain
    assert of_one_round(plain.source) is plain.source


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["proxies.model=trained"], "model: trained has no discriminators.*set p1 to 1"),
        (["proxies.p2=0.8", "proxies.p2_most=0.5"], r"p2 is 0\.8, above p2_most, 0\.5"),
        (["retrain.learns_from=both"], "learns_from"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(CONFIG, overrides)


@pytest.mark.parametrize("number", ROUNDS)
def test_a_page_asks_for_no_stage_2_and_finds_what_each_round_was_made_from(rounds, number):
    facts = facts_of(stored_run(rounds, number=number))
    assert "2 adversarial" not in [title for title, *_ in stage_rows(facts)]
    assert not [line.text for line in what_is_missing(facts, []) if line.text.startswith("Stage")]
    assert outdated(facts) == []
    assert focused(facts, []), "maps of the model that labelled"
    assert facts.problems == []


@pytest.mark.slow
def test_a_page_shows_later_rounds(rounds, tmp_path):
    page = page_of(report_of_folder(rounds, tmp_path / "page.html"))
    assert "beyond the paper: round 3" in page.words
    assert any("segmentation target loss" in image["alt"] for image in page.all("img"))
