import cv2
import numpy as np
import pytest
from conftest import opened
from PIL import Image

from gluon_madapt.data import proxy_dataset
from gluon_madapt.data.image_files import read_image, write_png
from gluon_madapt.errors import UserError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_palette(path, indices, palette=None):
    image = Image.fromarray(indices, mode="L")
    image = image.convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette(palette or [(i * 37) % 256 for i in range(768)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def picture(height=4, width=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def gta5(tmp_path):
    root = tmp_path / "gta5"
    for name in ("00001.png", "00002.png"):
        save(root / "images" / name, picture())
        save_palette(root / "labels" / name, np.full((4, 6), 26, np.uint8))
    return root


def open_gta5(root):
    return opened("gta5", root, "train", 19)


def test_gta5_labels_are_the_index_of_the_palette_not_its_colour(gta5):
    indices = np.array([[7, 33, 0, 34]], np.uint8).repeat(4, axis=0)
    save(gta5 / "images" / "00001.png", picture(4, 4))
    save_palette(gta5 / "labels" / "00001.png", indices)
    dataset = open_gta5(gta5)
    assert dataset.label(0)[0].tolist() == [0, 18, 255, 255]
    assert dataset.samples[0].name == "00001.png"


def test_gta5_pair_of_different_sizes_is_skipped_and_named(gta5, caplog):
    save(gta5 / "images" / "00001.png", picture(4, 8))
    dataset = open_gta5(gta5)
    assert [one.name for one in dataset.samples] == ["00002.png"]
    assert dataset.skipped == ("00001.png",)
    assert "00001.png skipped: the image is 8x4, its label 6x4" in caplog.text
    assert "1 of 2 pairs skipped" in caplog.text


def test_synthia_labels_are_in_the_red_channel_of_16_bit_pngs(tmp_path):
    labels = np.zeros((2, 3, 3), np.uint16)
    labels[:, :, 2] = [[3, 21, 0], [11, 22, 16]]  # OpenCV's order: red is last
    labels[:, :, 1] = 40000
    save(tmp_path / "RGB" / "a.png", picture(2, 3))
    (tmp_path / "GT" / "LABELS").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "GT" / "LABELS" / "a.png"), labels)
    dataset = opened("synthia", tmp_path, "train", 16)
    assert dataset.label(0).tolist() == [[0, 3, 255], [15, 255, 255]]


def make_cityscapes(root, split, label=True):
    stem = "ulm_000000_000019"
    save(root / "leftImg8bit" / split / "ulm" / f"{stem}_leftImg8bit.png", picture(2, 3))
    if label:
        ids = np.array([[7, 33, 255], [0, 23, 26]], np.uint8)
        save(root / "gtFine" / split / "ulm" / f"{stem}_gtFine_labelIds.png", ids)


def test_cityscapes_labels(tmp_path):
    make_cityscapes(tmp_path, "val")
    dataset = opened("cityscapes", tmp_path, "val", 19)
    assert dataset.label(0).tolist() == [[0, 18, 255], [255, 10, 13]]
    assert dataset.samples[0].name == "ulm/ulm_000000_000019_leftImg8bit.png"


def test_unlabelled_cityscapes_needs_no_label_folder(tmp_path):
    make_cityscapes(tmp_path, "train", label=False)
    dataset = opened("cityscapes", tmp_path, "train")
    assert len(dataset) == 1
    assert dataset.samples[0].label is None
    with pytest.raises(UserError, match="no label"):
        dataset.label(0)


def test_a_folder_of_images_of_any_kind_and_depth(tmp_path):
    save(tmp_path / "b.jpg", picture())
    save(tmp_path / "a" / "x y.png", picture())
    (tmp_path / "notes.txt").write_text("no image")
    dataset = opened("folder", tmp_path, "train")
    assert [one.name for one in dataset.samples] == ["a/x y.png", "b.jpg"]


def test_images_are_rgb(tmp_path):
    image = picture()
    save(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_proxies_are_found_by_the_images_relative_path(tmp_path):
    save(tmp_path / "images" / "a" / "b.jpg", picture())
    target = opened("folder", tmp_path / "images", "train")
    labels = np.array([[0, 18], [255, 3]], np.uint8)
    with pytest.raises(UserError, match=r"b\.png: missing.*make_proxy"):
        proxy_dataset(target, tmp_path / "labels", 19)
    write_png(tmp_path / "labels" / "a" / "b.png", labels)
    np.testing.assert_array_equal(proxy_dataset(target, tmp_path / "labels", 19).label(0), labels)
    with pytest.raises(UserError, match="train id 18: expected 0 to 15"):
        proxy_dataset(target, tmp_path / "labels", 16).label(0)


def test_missing_root(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder: expected gta5, that is images/\*\.png"):
        open_gta5(tmp_path / "nowhere")


def test_empty_root(tmp_path):
    with pytest.raises(UserError, match="holds no images of gta5"):
        open_gta5(tmp_path)


def test_image_without_label(gta5):
    (gta5 / "labels" / "00002.png").unlink()
    with pytest.raises(UserError, match=r"images/00002\.png: has no label, expected .*labels/00002\.png"):
        open_gta5(gta5)


def test_label_with_an_unknown_id(gta5):
    save_palette(gta5 / "labels" / "00001.png", np.full((4, 6), 35, np.uint8))
    with pytest.raises(UserError, match=r"00001\.png: holds label ids that gta5 does not have \(35\)"):
        open_gta5(gta5).label(0)


def test_label_that_is_a_colour_image(gta5):
    save(gta5 / "labels" / "00001.png", picture())
    with pytest.raises(UserError, match=r"00001\.png: is a label image of mode RGB"):
        open_gta5(gta5).label(0)


@pytest.mark.parametrize("content", [b"", b"this is text", "cut png", "cut jpg"])
def test_unreadable_image(tmp_path, content):
    path = tmp_path / "a.png"
    if content in ("cut png", "cut jpg"):
        full = save(tmp_path / f"full.{content[-3:]}", picture(64, 64)).read_bytes()
        content = full[: len(full) // 2]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(path)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_bytes_after_a_complete_image_do_no_harm(tmp_path, kind):
    path = save(tmp_path / f"a.{kind}", picture(64, 64))
    expected = read_image(path)
    path.write_bytes(path.read_bytes() + b"a phone's trailer" * 20)
    np.testing.assert_array_equal(read_image(path), expected)


def test_a_val_pair_of_different_sizes_is_an_error(tmp_path):
    make_cityscapes(tmp_path, "val")
    save(tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000000_000019_leftImg8bit.png", picture(5, 5))
    with pytest.raises(UserError, match="is 5x5, its label .* 3x2"):
        opened("cityscapes", tmp_path, "val", 19)


def test_only_cityscapes_has_splits(gta5):
    with pytest.raises(UserError, match="gta5 has no splits"):
        opened("gta5", gta5, "val", 19)


@pytest.mark.parametrize("cut", [0, 40, 60])
def test_unreadable_label(gta5, cut):
    path = gta5 / "labels" / "00001.png"
    save_palette(path, np.random.default_rng(0).integers(0, 34, (64, 64), dtype=np.uint8))
    save(gta5 / "images" / "00001.png", picture(64, 64))
    dataset = open_gta5(gta5)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"00001\.png: not readable as an image: it (has no bytes|was cut off)"):
        dataset.label(0)
