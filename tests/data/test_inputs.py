"""What each kind of file gets, as docs/inputs.md says."""

import numpy as np
import pytest
from broken_images import IMAGES, LABELS, NAMES, PICTURE, encoded, picture, rotated
from conftest import ROOT, opened
from small_experiments import small_experiment

from gluon_madapt.data.image_files import image_size, read_image
from gluon_madapt.data.label_files import read_label
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation import evaluate
from gluon_madapt.labels import class_set, label_map
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source

DOCUMENT = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")


def write(path, content):
    if content is None:
        path.symlink_to(path.with_name("nothing"))
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", IMAGES)
def test_images(kind, tmp_path):
    content, expected = IMAGES[kind]
    path = write(tmp_path / "a.png", content)
    if expected is None:
        with pytest.raises(UserError, match=r"a\.png: "):
            read_image(path)
    else:
        found = read_image(path)
        assert found.dtype == np.uint8
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 8, "the same picture, to what JPEG and palettes lose"
        assert image_size(path) == found.shape[1::-1]


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind, tmp_path):
    content, expected = LABELS[kind]
    path = write(tmp_path / "a.png", content)
    if expected is None:
        with pytest.raises(UserError, match=r"a\.png: "):
            read_label(path, label_map("gta5", class_set(19)))
    else:
        np.testing.assert_array_equal(read_label(path, label_map("gta5", class_set(19))), expected)


def test_a_png_whose_pixels_were_altered_is_refused(tmp_path):
    """A decoder would return other pixels, or other labels, without a word."""
    path, whole = tmp_path / "a.png", encoded(np.random.default_rng(0).integers(0, 19, (32, 32), dtype=np.uint8))
    start = whole.index(b"IDAT") + 4
    for place in range(start, whole.index(b"IEND") - 8):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        for read in (read_image, lambda one: read_label(one, label_map("gta5", class_set(19)))):
            with pytest.raises(UserError, match="it was altered, as a checksum in it says"):
                read(path)


@pytest.mark.parametrize("kind", [*IMAGES, *LABELS])
def test_the_document_has_a_line_for_each(kind):
    assert any(line.startswith(f"| {kind} |") for line in DOCUMENT.splitlines())


def test_a_folder_lists_what_it_cannot_read_rather_than_miss_it(tmp_path):
    for place, (content, _) in enumerate(IMAGES.values()):
        write(tmp_path / f"{place:02d}.png", content)
    dataset = opened("folder", tmp_path, "train")
    assert len(dataset) == len(IMAGES)
    assert dataset.fingerprint.startswith(f"{len(IMAGES)} images")
    broken = [f"{place:02d}.png" for place, (_, expected) in enumerate(IMAGES.values()) if expected is None]
    assert list(dataset.unreadable(threads=2)) == broken


def test_a_network_takes_images_of_any_size(tmp_path):
    """Of one pixel, of one row, of odd sides."""
    run = Run(small_experiment(tmp_path, "data.val=null"), tmp_path)
    net = new_segmenter(run)
    for size in ((1, 1), (1, 70), (33, 45)):
        images, labels = tmp_path / f"{size}" / "images", tmp_path / f"{size}" / "labels"
        images.mkdir(parents=True)
        labels.mkdir()
        (images / "a.png").write_bytes(encoded(picture(*size)))
        (labels / "a.png").write_bytes(encoded(np.full(size, 7, np.uint8)))
        dataset = opened("gta5", images.parent, "train", 19)
        assert evaluate(net, dataset, 19, run.context).counts.sum() == size[0] * size[1]


@pytest.fixture
def world(tmp_path):
    make_miniworld(tmp_path / "world", seed=3, gta5=4, synthia=1, train=4, val=2)
    return tmp_path / "world"


def test_names_of_any_letters_through_all_four_stages(world, tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "a folder").mkdir(parents=True)
    for place, name in enumerate(NAMES):
        (pictures / ("a folder" if place % 2 else "") / name).write_bytes(encoded(picture(32, 64, seed=place)))
    target = f"data.target={{dataset: folder, root: '{pictures}'}}"
    experiment = small_experiment(world, target, iterations=2)
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(experiment, tmp_path / "a run's folder"))
    labels = tmp_path / "a run's folder" / "proxies" / "labels"
    assert {path.name for path in labels.rglob("*.png")} == set(NAMES)


def test_pictures_of_every_kind_serve_as_target(world, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for place, (content, _) in enumerate(IMAGES.values()):
        write(pictures / f"{place:02d}.png", content)
    target = f"data.target={{dataset: folder, root: '{pictures}'}}"
    experiment = small_experiment(world, target, "data.on_error=skip", iterations=2)
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(experiment, tmp_path / "run"))
    readable = [f"{place:02d}.png" for place, (_, expected) in enumerate(IMAGES.values()) if expected is not None]
    assert sorted(path.name for path in (tmp_path / "run" / "proxies" / "labels").glob("*.png")) == readable


def test_an_image_that_a_camera_turned_fits_a_label_that_is_upright(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(rotated(PICTURE))
    (tmp_path / "labels" / "a.png").write_bytes(encoded(np.full((96, 64), 7, np.uint8)))
    dataset = opened("gta5", tmp_path, "train", 19)
    assert dataset.skipped == ()
    assert dataset.image(0).shape[:2] == dataset.label(0).shape == (96, 64)
