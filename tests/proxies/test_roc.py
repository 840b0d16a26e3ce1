"""Areas under ROC curves: against a rank statistic of every pair, and where there is nothing to tell apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_madapt.proxies import RocCounts
from gluon_madapt.proxies.logistic import fit_logistic
from gluon_madapt.proxies.roc import what_confidence_adds
from gluon_madapt.system.threads import in_threads

f32 = np.float32
NAMES = ["a", "b", "c"]


def area(score, right):
    """Compare every right prediction with every wrong one; equal scores count a half."""
    good, bad = score[right].astype(float)[:, None], score[~right].astype(float)
    return ((good > bad) + 0.5 * (good == bad)).mean() if good.size and bad.size else None


def predictions(seed, pixels, adds=0.0, rounded=False, classes=3):
    """Return truth (1, N), probabilities (L, 1, N) and two maps; the first knows more than s by ``adds``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(classes, 1, pixels)) * rng.choice([1, 4, 12])
    maps = [rng.beta(2, 5, (1, pixels)), rng.random((1, pixels)) ** 4]
    if rounded:
        logits, maps = np.round(logits), [np.round(4 * one) / 4 for one in maps]
    exponent = np.exp(logits - logits.max(axis=0))
    probabilities = (exponent / exponent.sum(axis=0)).astype(f32)
    s, label = probabilities.max(axis=0), probabilities.argmax(axis=0)
    odds = 2 * s - 1 + adds * (maps[0] - 0.3)
    truth = np.where(rng.random((1, pixels)) < 1 / (1 + np.exp(-odds)), label, (label + 1) % classes)
    truth[rng.random((1, pixels)) < 0.1] = 255
    return truth.astype(np.uint8), probabilities, [one.astype(f32) for one in maps]


def counted(truth, probabilities, maps, names=("D1", "D2"), rows=1):
    counts = RocCounts(len(probabilities), names)
    for part in np.array_split(np.arange(truth.shape[1]), min(rows, truth.shape[1])):
        counts.add(truth[:, part], probabilities[:, :, part], [one[:, part] for one in maps])
    return counts


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), pixels=st.integers(1, 400), rounded=st.booleans(), parts=st.integers(1, 4))
def test_areas_are_those_of_every_pair_within_what_they_say(seed, pixels, rounded, parts):
    truth, probabilities, (first, second) = predictions(seed, pixels, rounded=rounded)
    mean = (first + second) / 2
    report = counted(truth, probabilities, [mean, first, second], rows=parts).report(NAMES)
    label, score = probabilities.argmax(axis=0), probabilities.max(axis=0)
    chosen = [("in all", report["in_all"], truth != 255)]
    chosen += [(name, report["by_class"][name], (truth != 255) & (label == c)) for c, name in enumerate(NAMES)]
    for _, row, known in chosen:
        right = (label == truth)[known]
        assert (row["pixels"], row["right"]) == (known.sum(), right.sum())
        for name, values in (("s", score), ("A", mean), ("D1", first), ("D2", second)):
            expected = area(values[known], right)
            if expected is None:
                assert row["areas"][name] is None
                assert row["off_by_at_most"] is row["weights"] is row["areas"]["s and A"] is None
            else:
                assert abs(row["areas"][name] - expected) <= row["off_by_at_most"] + 1e-12
                if rounded and name != "s":
                    assert row["areas"][name] == pytest.approx(expected, abs=1e-12), "each value has a bin of its own"


@pytest.mark.parametrize("seed", range(3))
def test_bins_are_fine_enough_for_three_decimals(seed):
    truth, probabilities, (first, second) = predictions(seed, 8000, adds=4.0)
    row = counted(truth, probabilities, [first, second], ["D1"]).report(NAMES)["in_all"]
    known = truth != 255
    right, score = (probabilities.argmax(axis=0) == truth)[known], probabilities.max(axis=0)[known].astype(float)
    odds = np.log(score / np.maximum(1 - score, 1e-8))
    scores = np.column_stack([odds, first[known]])
    weights = fit_logistic(scores, right.astype(int), (~right).astype(int))
    for name, values in (("s", score), ("A", first[known]), ("D1", second[known]), ("s and A", scores @ weights)):
        assert row["areas"][name] == pytest.approx(area(values, right), abs=2e-4)
    assert [row["weights"]["s"], row["weights"]["A"]] == pytest.approx(weights, rel=0.02)


def test_what_confidence_adds_shows_where_it_knows_more_than_the_score_and_not_elsewhere():
    for adds, seed in ((5.0, 0), (0.0, 1), (-5.0, 2)):
        truth, probabilities, (first, _) = predictions(seed, 30000, adds)
        row = counted(truth, probabilities, [first, first], ["D1"]).report(NAMES)["in_all"]
        gain = row["areas"]["s and A"] - row["areas"]["s"]
        said = what_confidence_adds(row["areas"], row["weights"])
        if adds:
            assert gain > 0.03
            assert (row["areas"]["A"] > 0.55, row["weights"]["A"] > 0) == (adds > 0, adds > 0)
            assert said.startswith(f"A adds +{gain:.3f} to s")
            assert ("the wrong way round" in said) == (adds < 0)
        else:
            assert abs(gain) < 2e-3
            assert row["areas"]["A"] == pytest.approx(0.5, abs=0.02)


def test_a_confidence_that_is_the_score_again_adds_nothing():
    truth, probabilities, _ = predictions(4, 30000)
    score = probabilities.max(axis=0)
    row = counted(truth, probabilities, [score, score], ["D1"]).report(NAMES)["in_all"]
    assert row["areas"]["A"] == row["areas"]["s"] == row["areas"]["D1"]
    assert what_confidence_adds(row["areas"], row["weights"]) == "A adds nothing to s"


def test_constant_confidence_is_chance_and_adds_nothing():
    truth, probabilities, (first, _) = predictions(5, 3000)
    row = counted(truth, probabilities, [np.zeros_like(first)] * 2, ["D1"]).report(NAMES)["in_all"]
    assert (row["areas"]["A"], row["areas"]["D1"], row["weights"]["A"]) == (0.5, 0.5, 0.0)
    assert row["areas"]["s and A"] == pytest.approx(row["areas"]["s"], abs=1e-3)


def test_without_discriminators_only_the_score_is_judged():
    truth, probabilities, _ = predictions(6, 500)
    row = counted(truth, probabilities, [], []).report(NAMES)["in_all"]
    known = truth != 255
    right = (probabilities.argmax(axis=0) == truth)[known]
    assert row["areas"].keys() == {"s"}
    assert row["areas"]["s"] == pytest.approx(area(probabilities.max(axis=0)[known], right), abs=1e-3)
    assert row["weights"] is None
    assert what_confidence_adds(row["areas"], row["weights"]) == ""


def test_classes_never_predicted_or_all_right_or_all_wrong_have_no_area():
    probabilities = np.zeros((5, 1, 6), dtype=f32)
    for x, (label, score) in enumerate([(0, 0.9), (0, 0.5), (1, 0.8), (1, 0.7), (2, 0.9), (2, 0.6)]):
        probabilities[label, 0, x] = score
    truth = np.array([[0, 0, 0, 0, 2, 1]], dtype=np.uint8)
    confidence = np.array([[0, 1, 0, 1, 0.25, 0.5]], dtype=f32)
    report = counted(truth, probabilities, [confidence] * 2, ["D1"]).report(list("abcde"))
    rows = report["by_class"]
    assert {name: (row["pixels"], row["right"]) for name, row in rows.items()} == {
        **{"a": (2, 2), "b": (2, 0), "c": (2, 1)},
        **{"d": (0, 0), "e": (0, 0)},
    }
    for name in "abde":
        assert set(rows[name]["areas"].values()) == {None}
        assert rows[name]["off_by_at_most"] is rows[name]["weights"] is None
    assert (rows["c"]["areas"]["s"], rows["c"]["areas"]["A"]) == (1, 0)
    assert rows["c"]["areas"]["s and A"] == 1, "one pixel of each: any weights that are finite tell them apart"
    assert all(np.isfinite(list(rows["c"]["weights"].values())))


def test_no_known_pixel_is_no_area():
    _, probabilities, (first, _) = predictions(7, 20)
    row = counted(np.full((1, 20), 255, np.uint8), probabilities, [first] * 2, ["D1"]).report(NAMES)["in_all"]
    assert row["pixels"] == row["right"] == 0
    assert set(row["areas"].values()) == {None}


def test_threads_may_count_at_the_same_time():
    parts = [predictions(seed, 5000) for seed in range(12)]
    one, other = RocCounts(3, ["D1", "D2"]), RocCounts(3, ["D1", "D2"])
    for truth, probabilities, (first, second) in parts:
        one.add(truth, probabilities, [first, first, second])
    list(in_threads(lambda part: other.add(part[0], part[1], [part[2][0], *part[2]]), parts, 4, 12))
    np.testing.assert_array_equal(one.alone, other.alone)
    np.testing.assert_array_equal(one.joint, other.joint)


@pytest.mark.parametrize("maps", [[np.full((1, 9), 1.5, f32)] * 2, [np.full((1, 9), np.nan, f32)] * 2, []])
def test_confidence_that_is_none_is_an_error(maps):
    truth, probabilities, _ = predictions(8, 9)
    with pytest.raises(ValueError, match="confidence"):
        counted(truth, probabilities, maps, ["D1"])


def test_separable_predictions_have_finite_weights_and_no_error():
    scores = np.column_stack([np.arange(6.0), np.zeros(6)])
    weights = fit_logistic(scores, np.array([0, 0, 0, 5, 1, 9]), np.array([7, 1, 2, 0, 0, 0]))
    assert np.isfinite(weights).all()
    assert 5 < weights[0] < 30
    assert weights[1] == 0


def test_weights_are_those_of_the_model_that_drew_the_predictions():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 2)) * [3, 0.2]
    number = np.full(200, 10**9)
    right = np.round(number / (1 + np.exp(-(0.4 + scores @ [0.7, -2.5])))).astype(np.int64)
    assert fit_logistic(scores, right, number - right) == pytest.approx([0.7, -2.5], rel=1e-4)
