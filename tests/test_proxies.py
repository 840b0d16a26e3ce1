from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_madapt.proxies import adversarial_confidence, compute_thresholds, label_image

f32 = np.float32


def sorted_threshold(scores, share):
    """The definition, by sorting: keep k = floor(share * N); the next float below the smallest if all are kept."""
    scores = np.sort(scores)
    kept = int(Decimal(repr(share)) * len(scores))
    return scores[len(scores) - kept - 1] if kept < len(scores) else np.nextafter(scores[0], f32(-np.inf))


def twin(images, p1, p2):
    """Thresholds and labels by brute force over everything at once."""
    t1 = sorted_threshold(np.concatenate([a.ravel() for _, a in images]), p1)
    classes = len(images[0][0])
    t2 = np.ones(classes, dtype=f32)
    label = np.concatenate([p.argmax(axis=0)[a > t1] for p, a in images])
    score = np.concatenate([p.max(axis=0)[a > t1] for p, a in images])
    for c in range(classes):
        if (label == c).any():
            t2[c] = sorted_threshold(score[label == c], p2)
    labels = []
    for p, a in images:
        out = np.full(a.shape, 255, dtype=np.uint8)
        for y, x in np.ndindex(a.shape):
            best = int(np.argmax([p[c, y, x] / t2[c] for c in range(classes)]))
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


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**31),
    number=st.integers(1, 4),
    classes=st.integers(1, 6),
    coarse=st.booleans(),
    p1=st.sampled_from([0.01, 0.29, 0.5, 0.6, 0.8, 1.0]),
    p2=st.sampled_from([0.01, 0.2, 0.48, 0.8, 1.0]),
)
def test_thresholds_and_labels_equal_the_brute_force_twins(seed, number, classes, coarse, p1, p2):
    images = random_images(seed, number, classes, coarse)
    t1, t2, labels = twin(images, p1, p2)
    thresholds = compute_thresholds(images, p1, p2)
    assert thresholds.t1 == t1
    assert thresholds.t2.tobytes() == t2.tobytes()
    for (probabilities, confidence), expected in zip(images, labels):
        np.testing.assert_array_equal(label_image(probabilities, confidence, thresholds), expected)


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


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="no images"):
        compute_thresholds([], 0.5, 0.5)
