"""What an audit finds of the scores that proxies are chosen by: against every pixel of the maps, whatever there is."""

import json
import re

import numpy as np
import pytest
from brute_force import whole_images
from proxy_runs import IMAGES, cache_of, record
from small_experiments import run_stages, small_experiment

from gluon_madapt.proxies import adversarial_confidence
from gluon_madapt.proxy_maps.scored_maps import confidence_of_each
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source

NAMES = ("s", "A", "D1", "D2")


def area(score, right):
    """Compare every right prediction with every wrong one, by their ranks; equal scores count a half."""
    values, place, number = np.unique(score, return_inverse=True, return_counts=True)
    rank = (number.cumsum() - (number - 1) / 2)[place]
    good, bad = right.sum(), (~right).sum()
    return (rank[right].sum() - good * (good + 1) / 2) / (good * bad) if good and bad else None


def pixels_of(run, folder, images=range(IMAGES)):
    """Return of all pixels whose truth is known: predicted class, whether it is right, and each score."""
    cache, truth = cache_of(folder), run.dataset("target", labelled=True)
    found = []
    for index in images:
        maps, labels = cache.read(index), truth.label(index).astype(int)
        ((probabilities, confidence),) = whole_images([maps])
        known, each = labels != 255, confidence_of_each(maps)
        scores = [probabilities.max(axis=0), *([confidence, *each] if each else [])]
        label = probabilities.argmax(axis=0)
        found.append([label[known], (label == labels)[known], *(one[known] for one in scores)])
    return [np.concatenate(one) for one in zip(*found)]


def assert_like_every_pixel(row, right, scores):
    assert (row["pixels"], row["right"]) == (right.size, right.sum())
    for name, score in zip(NAMES, scores):
        expected = area(score, right)
        assert (row["areas"][name] is None) == (expected is None)
        assert expected is None or abs(row["areas"][name] - expected) <= row["off_by_at_most"] + 1e-12


def audit(run, caplog):
    caplog.set_level("INFO")
    caplog.clear()
    make_proxies(run, audit=True)
    return record(run.folder)["roc"], [one.getMessage() for one in caplog.records if one.getMessage()[:6] == "audit:"]


def test_areas_are_those_of_every_pixel_in_all_and_by_class(audited, tiny_world):
    run = Run(small_experiment(tiny_world), audited)
    roc, (label, right, *scores) = record(audited)["roc"], pixels_of(run, audited)
    assert roc["version"] == 1
    assert list(roc["in_all"]["areas"]) == [*NAMES, "s and A"]
    assert_like_every_pixel(roc["in_all"], right, scores)
    assert tuple(roc["by_class"]) == run.classes.names
    for number, name in enumerate(run.classes.names):
        of_class = label == number
        assert_like_every_pixel(roc["by_class"][name], right[of_class], [score[of_class] for score in scores])


def test_a_discriminator_alone_is_normalised_as_all_of_them_are(straight):
    maps = cache_of(straight).read(0)
    each = confidence_of_each(maps)
    assert len(each) == 2
    ((_, confidence),) = whole_images([maps])
    np.testing.assert_allclose(np.mean(each, axis=0), confidence, atol=1e-6)
    for one in each:
        assert (one.min(), one.max()) == (0, 1)
        np.testing.assert_array_equal(adversarial_confidence([one]), one)


def test_the_tool_says_it_in_two_lines(run, caplog):
    roc, (criteria, areas) = audit(run, caplog)
    (kept, dropped, also, and_dropped, *both) = (float(word) for word in re.findall(r"([\d.]+)%", criteria))
    groups = record(run.folder)["audit"]
    assert both[0] == round(100 * groups["proxies"]["accuracy"], 1)
    assert 0 < min(kept, dropped, also, and_dropped) < 100
    for name, value in roc["in_all"]["areas"].items():
        assert f" {name} {value:.3f}" in areas
    assert "0.5 is chance" in areas
    assert areas.split("; ")[1].startswith("A adds ")


def test_an_audit_of_an_earlier_version_is_read_and_made_anew_where_it_is_asked_for(run, audited, caplog):
    make_proxies(run)
    old = {key: value for key, value in record(audited).items() if key != "roc"}
    path = run.folder / "proxies" / "proxies.json"
    path.write_text(json.dumps(old))
    make_proxies(run)
    assert record(run.folder) == old, "nobody has asked"
    audit(run, caplog)
    assert record(run.folder) == record(audited)
    path.write_text(json.dumps(dict(record(audited), roc=dict(record(audited)["roc"], version=0))))
    audit(run, caplog)
    assert record(run.folder) == record(audited)


def test_an_image_whose_label_cannot_be_read_does_not_count(run, copied, tiny_world, tmp_path, caplog, monkeypatch):
    experiment = small_experiment(tiny_world, "data.on_error=skip")
    whole = Run(experiment, copied)
    make_proxies(whole)
    monkeypatch.setattr("gluon_madapt.stages.proxies.truth_of", lambda *given: (without_the_first(whole), "some"))
    roc, _ = audit(whole, caplog)
    _, right, *scores = pixels_of(whole, copied, images=range(1, IMAGES))
    assert_like_every_pixel(roc["in_all"], right, scores)


def without_the_first(run):
    truth = run.dataset("target", labelled=True)
    return lambda index: truth.label(index) if index else None


@pytest.mark.parametrize("number", [0, 1])
def test_with_fewer_discriminators_there_is_so_much_less_to_say(number, tiny_world, tmp_path, caplog):
    changes = [f"adversarial.discriminators={number}", *["proxies.p1=1"] * (not number)]
    experiment = small_experiment(tiny_world, *changes, iterations=1)
    for stage in (train_source, train_adversarial):
        stage(Run(experiment, tmp_path))
    run = Run(experiment, tmp_path)
    roc, (_, line) = audit(run, caplog)
    label, right, *scores = pixels_of(run, tmp_path)
    assert label.size
    if number:
        assert list(roc["in_all"]["areas"]) == ["s", "A", "D1", "s and A"]
        assert roc["in_all"]["areas"]["D1"] == roc["in_all"]["areas"]["A"]
        assert_like_every_pixel(roc["in_all"], right, scores)
    else:
        assert list(roc["in_all"]["areas"]) == ["s"]
        assert_like_every_pixel(roc["in_all"], right, scores)
        assert "A" not in line.split("chance: ")[1]


def test_a_later_round_has_an_audit_of_its_own(tiny_world, tmp_path, caplog):
    from gluon_madapt.stages import retrain

    run_stages(tiny_world, tmp_path, train_source, train_adversarial, make_proxies, retrain)
    later = Run(small_experiment(tiny_world, iterations=1), tmp_path, number=2)
    train_adversarial(later)
    caplog.set_level("INFO")
    make_proxies(later, audit=True)
    assert "roc" not in record(tmp_path)
    roc = record(tmp_path / "round-2")["roc"]
    _, right, *scores = pixels_of(later, tmp_path / "round-2")
    assert_like_every_pixel(roc["in_all"], right, scores)
