import numpy as np
import pytest
from brute_force import sorted_thresholds
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_madapt.proxies import (
    Audit,
    Shares,
    ThresholdSearch,
    adversarial_confidence,
    choose,
    compute_thresholds,
    label_image,
)
from gluon_madapt.proxies.audit import criteria_of

f32 = np.float32


def twin(images, p1, p2):
    """Thresholds by sorting everything, labels pixel by pixel."""
    t1, t2 = sorted_thresholds(images, p1, p2)
    labels = []
    for p, a in images:
        out = np.full(a.shape, 255, dtype=np.uint8)
        for y, x in np.ndindex(a.shape):
            best = int(np.argmax([p[c, y, x] / t2[c] for c in range(len(p))]))
            if p[best, y, x] > t2[best] and a[y, x] > t1:
                out[y, x] = best
        labels.append(out)
    return t1, t2, labels


def random_images(seed, number, classes, coarse):
    """Images of different sizes; ``coarse`` rounds, which makes ties."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(number):
        height, width = rng.integers(1, 7, size=2)
        logits = rng.normal(size=(classes, height, width)).astype(f32) * 3
        confidence = rng.random((height, width)).astype(f32)
        if coarse:
            logits, confidence = np.round(logits), np.round(confidence * 4) / f32(4)
        exponent = np.exp(logits - logits.max(axis=0))
        images.append(((exponent / exponent.sum(axis=0)).astype(f32), confidence.astype(f32)))
    return images


def assert_like_the_twin(images, p1, p2, thresholds=None):
    t1, t2, labels = twin(images, p1, p2)
    thresholds = thresholds or compute_thresholds(images, p1, p2)
    assert thresholds.t1.tobytes() == t1.tobytes()
    assert thresholds.t2.tobytes() == t2.tobytes()
    for (probabilities, confidence), expected in zip(images, labels):
        np.testing.assert_array_equal(label_image(probabilities, confidence, thresholds), expected)
    return thresholds


P1 = st.sampled_from([0.01, 0.29, 0.5, 0.6, 0.8, 1.0])
P2 = st.sampled_from([0.01, 0.2, 0.48, 0.8, 1.0])
IMAGES = {
    "seed": st.integers(0, 2**31),
    "number": st.integers(1, 4),
    "classes": st.integers(1, 6),
    "coarse": st.booleans(),
}


@settings(deadline=None, max_examples=80)
@given(p1=P1, p2=P2, **IMAGES)
def test_thresholds_and_labels_equal_the_brute_force_twins(seed, number, classes, coarse, p1, p2):
    assert_like_the_twin(random_images(seed, number, classes, coarse), p1, p2)


@settings(deadline=None, max_examples=40)
@given(chosen=st.lists(st.tuples(P1, P2), min_size=1, max_size=6), cuts=st.randoms(use_true_random=False), **IMAGES)
def test_many_settings_counted_in_parts_in_any_order_equal_the_twins_of_each(
    chosen, cuts, seed, number, classes, coarse
):
    images = random_images(seed, number, classes, coarse)
    search = ThresholdSearch([Shares(*one) for one in chosen], classes)
    while not search.finished:
        parts = [search.new_counts() for _ in range(3)]
        rows = [(p[:, y : y + 1], a[y : y + 1]) for p, a in images for y in range(len(a))]
        cuts.shuffle(rows)
        for probabilities, confidence in rows:
            search.count(cuts.choice(parts), confidence, probabilities)
        cuts.shuffle(parts)
        for other in parts[1:]:
            parts[0].merge(other)
        search.advance(parts[0])
    for (p1, p2), thresholds in zip(chosen, search.thresholds):
        found = assert_like_the_twin(images, p1, p2, thresholds)
        alone = compute_thresholds(images, p1, p2)
        assert (found.pixels, found.ties_t1) == (alone.pixels, alone.ties_t1)
        assert found.focused.tolist() == alone.focused.tolist()
        assert found.ties_t2.tolist() == alone.ties_t2.tolist()


# Scores where bins begin and end, next to each other, at the ends of the range, and smaller than normal numbers.
EDGES = np.array(
    [0, 1e-40, 1.2e-38, 2**-14, 0.25, np.nextafter(f32(0.5), f32(0)), 0.5, np.nextafter(f32(0.5), f32(1)), 0.75, 1],
    dtype=f32,
)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # in the twin
@settings(deadline=None, max_examples=80)
@given(
    scores=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=40),
    p1=P1,
    p2=P2,
)
def test_scores_at_the_edges_of_bins_equal_the_twins(scores, p1, p2):
    probabilities = np.zeros((3, 1, len(scores)), dtype=f32)
    confidence = np.zeros((1, len(scores)), dtype=f32)
    for x, (score, sure, label) in enumerate(scores):
        probabilities[label, 0, x], confidence[0, x] = EDGES[score], EDGES[sure]
    assert_like_the_twin([(probabilities, confidence)], p1, p2)


def test_negative_zero_counts_as_zero():
    confidence = np.array([[-0.0, 0.0, 0.5, 1.0]], dtype=f32)
    thresholds = compute_thresholds([(np.ones((1, 1, 4), dtype=f32), confidence)], 0.5, 1.0)
    assert thresholds.t1 == 0
    assert thresholds.ties_t1 == 2


def test_probabilities_that_saturate_lose_their_class_and_are_counted_as_ties():
    probabilities = np.zeros((2, 1, 10), dtype=f32)
    probabilities[0, 0, :6] = [1, 1, 1, 1, 1, 0.9]
    probabilities[1, 0, 6:] = [0.6, 0.7, 0.8, 0.9]
    confidence = np.ones((1, 10), dtype=f32)
    thresholds = assert_like_the_twin([(probabilities, confidence)], 1.0, 0.5)
    assert thresholds.t2[0] == 1
    assert thresholds.focused.tolist() == [6, 4]
    assert thresholds.ties_t2.tolist() == [5, 1]
    assert (label_image(probabilities, confidence, thresholds) == 0).sum() == 0


def test_constant_maps_keep_all_or_nothing():
    constant = adversarial_confidence([np.full((2, 3), 0.4, dtype=f32)] * 2)
    images = [(np.ones((1, 2, 3), dtype=f32), constant)]
    assert compute_thresholds(images, 0.5, 1.0).ties_t1 == 6
    assert (label_image(*images[0], assert_like_the_twin(images, 0.5, 1.0)) == 255).all()
    assert (label_image(*images[0], assert_like_the_twin(images, 1.0, 1.0)) == 0).all()


def test_the_share_is_the_decimal_that_was_written():
    # 0.29 * 100 is 28.999999999999996 in floating point; 29 pixels are to be kept.
    confidence = (np.arange(100, dtype=f32) / f32(100)).reshape(10, 10)
    thresholds = compute_thresholds([(np.ones((1, 10, 10), dtype=f32), confidence)], 0.29, 1.0)
    assert (confidence > thresholds.t1).sum() == 29


def test_a_class_without_pixels_is_never_chosen():
    probabilities = np.array([[[0.6, 0.7]], [[0.4, 0.3]]], dtype=f32)
    confidence = np.ones((1, 2), dtype=f32)
    thresholds = compute_thresholds([(probabilities, confidence)], 1.0, 1.0)
    assert thresholds.t2[1] == 1
    assert label_image(probabilities, confidence, thresholds).tolist() == [[0, 0]]


def test_reweighting_lets_a_rare_unsure_class_win():
    # Class 1 is never surer than 0.5, so 0.45 counts for more there than 0.55 does for class 0.
    probabilities = np.array([[[0.9, 0.8, 0.55, 0.5, 0.45]], [[0.1, 0.2, 0.45, 0.5, 0.55]]], dtype=f32)
    confidence = np.ones((1, 5), dtype=f32)
    thresholds = compute_thresholds([(probabilities, confidence)], 1.0, 0.5)
    expected = twin([(probabilities, confidence)], 1.0, 0.5)[2][0]
    np.testing.assert_array_equal(label_image(probabilities, confidence, thresholds), expected)


def test_the_lowest_class_wins_a_tie():
    probabilities = np.array([[[0.25, 0.9]], [[0.375, 0.05]], [[0.375, 0.05]]], dtype=f32)
    confidence = np.ones((1, 2), dtype=f32)
    thresholds = compute_thresholds([(probabilities, confidence)], 1.0, 1.0)
    assert thresholds.focused.tolist() == [1, 1, 0]
    equal = thresholds._replace(t2=np.array([0.5, 0.25, 0.25], dtype=f32))
    assert label_image(probabilities, confidence, equal).tolist() == [[1, 0]]


def test_ties_at_the_threshold_fall_out():
    confidence = np.array([[0.5, 0.5, 0.5, 1.0]], dtype=f32)
    thresholds = compute_thresholds([(np.ones((1, 1, 4), dtype=f32), confidence)], 0.5, 1.0)
    assert (confidence > thresholds.t1).tolist() == [[False, False, False, True]]


def test_adversarial_confidence_is_the_mean_of_maps_normalised_per_image():
    first = np.array([[0.2, 0.4], [0.6, 0.3]], dtype=f32)
    second = np.array([[0.9, 0.5], [0.1, 0.9]], dtype=f32)
    expected = (np.array([[0, 0.5], [1, 0.25]]) + np.array([[1, 0.5], [0, 1]])) / 2
    np.testing.assert_allclose(adversarial_confidence([first, second]), expected, atol=1e-6)
    np.testing.assert_allclose(adversarial_confidence([first]), [[0, 0.5], [1, 0.25]], atol=1e-6)


def test_a_constant_map_counts_as_zero():
    assert adversarial_confidence([np.full((2, 2), 0.7, dtype=f32)]).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_errors(value):
    good = np.full((1, 2, 2), 1, dtype=f32), np.zeros((2, 2), dtype=f32)
    bad = good[0].copy(), good[1].copy()
    bad[0][0, 1, 1] = value
    with pytest.raises(ValueError, match="image 1"):
        compute_thresholds([good, bad], 1.0, 0.5)
    bad = good[0], good[1].copy()
    bad[1][0, 0] = value
    with pytest.raises(ValueError, match="image 1"):
        compute_thresholds([good, bad], 0.5, 0.5)
    with pytest.raises(ValueError, match="finite"):
        adversarial_confidence([bad[1]])


def test_images_that_change_from_pass_to_pass_are_an_error():
    class Changing:
        def __init__(self):
            self.seed = 0

        def __iter__(self):
            self.seed += 1
            return iter(random_images(3 if self.seed == 1 else self.seed, 2, 3, coarse=False))

    with pytest.raises(ValueError, match="must be the same in every pass"):
        compute_thresholds(Changing(), 0.5, 0.5)


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="no images"):
        compute_thresholds([], 0.5, 0.5)


@pytest.mark.parametrize(
    ("probabilities", "confidence", "message"),
    [
        (np.full((2, 1, 1), 7, dtype=f32), np.zeros((1, 1), dtype=f32), "from 0 to 1"),
        (np.zeros((2, 1, 1), dtype=f32), np.zeros((1, 1), dtype=f32), "largest of each pixel positive"),
        (np.ones((2, 1, 1)), np.zeros((1, 1), dtype=f32), "must be float32, not float64"),
        (np.ones((2, 1, 1), dtype=f32), np.zeros((1, 2), dtype=f32), "do not fit"),
        (np.ones((2, 1, 1), dtype=f32), np.full((1, 1), 1.5, dtype=f32), "confidence must be float32 from 0 to 1"),
        (np.ones((2, 1, 1), dtype=f32), np.zeros((1, 1)), "confidence must be float32 from 0 to 1"),
    ],
)
def test_what_is_no_probability_or_does_not_fit_is_named(probabilities, confidence, message):
    with pytest.raises(ValueError, match=rf"image 0: .*{message}"):
        compute_thresholds([(probabilities, confidence)], 0.5, 0.5)


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        ThresholdSearch([Shares(0.5, share)], 2)


def test_the_audit_counts_what_each_criterion_keeps_and_drops():
    images = random_images(5, 3, 4, False)
    rng = np.random.default_rng(0)
    thresholds, audit = compute_thresholds(images, 0.6, 0.5), Audit(4)
    groups = {key: [] for key in ("proxies", "dropped_by_discriminators", "dropped_by_classifier", "dropped_by_both")}
    for probabilities, confidence in images:
        truth = rng.choice([0, 1, 2, 3, 255], size=confidence.shape).astype(np.uint8)
        audit.add(truth, choose(probabilities, confidence, thresholds))
        for y, x in np.ndindex(truth.shape):
            if truth[y, x] == 255:
                continue
            best = int(np.argmax(probabilities[:, y, x] / thresholds.t2))
            sure, focused = probabilities[best, y, x] > thresholds.t2[best], confidence[y, x] > thresholds.t1
            dropped = "by_both" if not (sure or focused) else "by_classifier" if focused else "by_discriminators"
            groups["proxies" if sure and focused else f"dropped_{dropped}"].append((best, best == truth[y, x]))
    report = audit.report(["a", "b", "c", "d"])
    assert all(groups.values())
    keeps = {"p1": ("proxies", "dropped_by_classifier"), "p2": ("proxies", "dropped_by_discriminators")}
    for criterion, found in criteria_of(report).items():
        for side, kept in ((found.kept, True), (found.dropped, False)):
            chosen = [key for key in groups if (key in keeps.get(criterion, ("proxies",))) == kept]
            rights = [right for key in chosen for _, right in groups[key]]
            assert side == (len(rights), pytest.approx(np.mean(rights)))
    for group, pixels in groups.items():
        assert report[group]["pixels"] == len(pixels)
        assert report[group]["accuracy"] == pytest.approx(np.mean([right for _, right in pixels]))
        for label, name in enumerate("abcd"):
            rights = [right for best, right in pixels if best == label]
            expected = {"pixels": len(rights), "accuracy": pytest.approx(np.mean(rights)) if rights else None}
            assert report[group]["by_class"][name] == expected


def test_criteria_without_pixels_have_no_accuracy_whatever_the_version_of_the_audit():
    none, some = {"pixels": 0, "accuracy": None}, {"pixels": 3, "accuracy": 1 / 3}
    found = criteria_of({"proxies": some, "dropped_by_both": none})
    assert found["p1"] == ((3, pytest.approx(1 / 3)), (0, None))
    assert found == {"p1": found["p1"], "p2": found["p1"], "both": found["p1"]}
