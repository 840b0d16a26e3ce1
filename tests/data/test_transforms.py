import numpy as np
import pytest

from gluon_madapt.config import Input
from gluon_madapt.data.transforms import MEAN, STD, normalize, transform


def coordinates(height, width):
    """An image and a label that both say where each pixel came from."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    return image, (rows // 8 * 16 + columns // 8).astype(np.uint8)


@pytest.mark.parametrize(
    "settings",
    [
        Input(mirror=False),
        Input(size=(96, 48), mirror=True),
        Input(short_side=48, crop=(40, 32), mirror=True),
        Input(scale=(0.7, 1.3), crop=(48, 48), mirror=True),
        Input(scale=(2.0, 2.0), crop=(64, 64), mirror=True),
    ],
)
def test_image_and_label_move_together(settings):
    image, label = coordinates(64, 96)
    for seed in range(10):
        moved, moved_label = transform(image, label, settings, np.random.default_rng(seed))
        assert moved.shape[:2] == moved_label.shape
        if settings.crop:
            assert moved.shape[:2] == settings.crop[::-1]
        inside = moved_label != 255
        assert set(np.unique(moved_label[inside])) <= set(np.unique(label))
        block = moved[:, :, 0] // 8 * 16 + moved[:, :, 1] // 8
        # Interpolated pixels on the edge between two blocks may belong to either.
        assert (block == moved_label)[inside].mean() > 0.8
        centre = inside & (moved[:, :, 0] % 8 > 1) & (moved[:, :, 0] % 8 < 6)
        centre &= (moved[:, :, 1] % 8 > 1) & (moved[:, :, 1] % 8 < 6)
        assert (block == moved_label)[centre].all()


def test_sizes():
    image, label = coordinates(132, 240)
    rng = np.random.default_rng(0)
    assert transform(image, label, Input(short_side=96), rng)[0].shape == (96, 175, 3)
    assert transform(image, None, Input(size=(50, 40)), rng)[0].shape == (40, 50, 3)
    assert transform(image, label, Input(), rng)[0].shape == (132, 240, 3)


def test_what_is_smaller_than_the_crop_is_padded_right_and_bottom():
    image, label = coordinates(24, 24)
    image[:] = 9
    moved, moved_label = transform(image, label, Input(crop=(40, 32), mirror=False), np.random.default_rng(0))
    assert moved.shape == (32, 40, 3)
    assert (moved[:24, :24] == 9).all()
    assert not moved[24:].any()
    assert not moved[:, 24:].any()
    assert (moved_label[24:] == 255).all()
    assert (moved_label[:, 24:] == 255).all()
    np.testing.assert_array_equal(moved_label[:24, :24], label)


def test_mirror_happens_half_of_the_time_and_only_where_it_is_on():
    image, label = coordinates(8, 16)
    mirrored = [transform(image, label, Input(), np.random.default_rng(s))[0][0, 0, 1] > 0 for s in range(200)]
    assert 70 < sum(mirrored) < 130
    assert all(
        transform(image, label, Input(mirror=False), np.random.default_rng(s))[0][0, 0, 1] == 0 for s in range(20)
    )


def test_random_scale_stays_in_its_range():
    image, _ = coordinates(100, 100)
    settings = Input(scale=(0.7, 1.3), mirror=False)
    sizes = [transform(image, None, settings, np.random.default_rng(s))[0].shape[0] for s in range(200)]
    assert 70 <= min(sizes) < 75
    assert 125 < max(sizes) <= 130


def test_normalization_is_imagenets():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0] = (255, 0, 127)
    found = normalize(image)
    assert found.shape == (3, 2, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0, 0], (np.array([1, 0, 127 / 255]) - MEAN) / STD, rtol=1e-6)
