"""What a viewer shows upright is read upright: images, labels, and the size that is told without decoding."""

import io
import subprocess
import sys

import cv2
import numpy as np
import pytest
from broken_images import encoded
from conftest import ROOT, opened
from oriented_images import GREY, KINDS, STORED, chunk, exif, png_with
from PIL import Image, ImageOps

from gluon_madapt.data.image_files import image_size, read_image
from gluon_madapt.data.label_files import read_label
from gluon_madapt.labels import class_set, label_map

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")

# EXIF's own, and values that mean nothing: an image of those is shown as it is stored.
ORIENTATIONS = (*range(1, 9), 0, 9, 255)


def shown(data):
    """Return what Pillow makes of a file, (H, W, 3) uint8."""
    with Image.open(io.BytesIO(data)) as image:  # of bytes: Pillow turns some TIFFs that it maps to memory wrongly
        turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):
        return (np.asarray(turned) // 257).astype(np.uint8)[..., None].repeat(3, axis=2)
    return np.asarray(turned.convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_read_as_a_viewer_shows_it(kind, tmp_path):
    path = tmp_path / "a.png"
    for orientation in ORIENTATIONS:
        path.write_bytes(KINDS[kind](orientation))
        expected, found = shown(path.read_bytes()), read_image(path)
        assert found.shape == expected.shape, orientation
        assert found.flags.writeable
        assert image_size(path) == found.shape[1::-1], orientation
        np.testing.assert_allclose(found.astype(int), expected, atol=1 if "CMYK" in kind else 0)
        on_its_side = orientation in (5, 6, 7, 8)
        assert found.shape[:2] == (STORED.shape[1::-1] if on_its_side else STORED.shape[:2])


def test_orientations_are_those_of_the_standard(tmp_path):
    """Where EXIF says the first row and the first column of what is stored lie."""
    path = tmp_path / "a.png"
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    upright = {
        2: [[3, 2, 1], [6, 5, 4]],
        3: [[6, 5, 4], [3, 2, 1]],
        4: [[4, 5, 6], [1, 2, 3]],
        5: [[1, 4], [2, 5], [3, 6]],
        6: [[4, 1], [5, 2], [6, 3]],
        7: [[6, 3], [5, 2], [4, 1]],
        8: [[3, 6], [2, 5], [1, 4]],
    }
    for orientation, expected in upright.items():
        path.write_bytes(encoded(stored, exif=exif(orientation)))
        np.testing.assert_array_equal(read_image(path)[..., 0], expected)


MALFORMED = {
    "no EXIF at all": b"",
    "nonsense": b"Exif\0\0nonsense",
    "cut off": exif(6)[:20],
    "a folder far away": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "a folder that is its own next": exif(6)[:-4] + b"\x08\0\0\0",
    "more entries than there are": exif(6)[:14] + b"\xff\xff" + exif(6)[16:],
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_exif_does_no_harm(kind, what, tmp_path):
    path = tmp_path / "a.png"
    options = {"lossless": True} if kind == "WEBP" else {}
    path.write_bytes(encoded(STORED, kind, exif=MALFORMED[what], **options))
    with Image.open(path) as image:
        stored = np.asarray(image.convert("RGB"))
    found = read_image(path)
    assert image_size(path) == found.shape[1::-1]
    turned = [np.array_equal(found, one) for one in (stored, np.rot90(stored, -1))]
    assert any(turned), "as it is stored, or as the orientation says that was found nevertheless"


def test_nothing_is_printed_of_malformed_exif(tmp_path):
    """In a process of its own: pytest would set other filters of warnings."""
    program = "from gluon_madapt.data.image_files import read_image; from pathlib import Path\n"
    for place, exif_bytes in enumerate(MALFORMED.values()):
        (tmp_path / f"{place}.jpg").write_bytes(encoded(STORED, "JPEG", exif=exif_bytes))
        program += f"read_image(Path({str(tmp_path)!r}) / '{place}.jpg')\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_metadata_that_cannot_be_read_does_no_harm(tmp_path, capfd):
    """Of a PNG, libpng would print a warning without a name for most of them."""
    path = tmp_path / "a.png"
    for kind in (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"hIST", b"tRNS", b"sPLT", b"eXIf", b"zTXt"):
        for content in (b"", b"x", b"Raw profile type exif\0\0nonsense", b"XML:com.adobe.xmp\0"):
            path.write_bytes(png_with("in front", kind, content))
            np.testing.assert_array_equal(read_image(path), STORED)
    path.write_bytes(encoded(STORED)[:33] + chunk(b"eXIf", exif(6)[6:]) + encoded(STORED)[33:])
    np.testing.assert_array_equal(read_image(path), np.rot90(STORED, -1))
    assert "".join(capfd.readouterr()) == ""


LABEL = (GREY % 19).astype(np.uint8)
LABELS = {
    "PNG": lambda o: encoded(LABEL, exif=exif(o)),
    "PNG, palette": lambda o: encoded(Image.fromarray(LABEL).convert("P"), exif=exif(o)),
    "PNG, behind its pixels": lambda o: encoded(LABEL)[:-12] + chunk(b"eXIf", exif(o)[6:]) + encoded(LABEL)[-12:],
    "TIFF": lambda o: encoded(LABEL, "TIFF", tiffinfo={0x0112: o}),
    "TIFF, packed": lambda o: encoded(LABEL, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: o} if o else {}),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_is_read_as_a_viewer_shows_it(kind, tmp_path):
    path = tmp_path / "a.png"
    for orientation in range(1, 9):
        path.write_bytes(LABELS[kind](orientation))
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        ids = np.full(256, 255, np.uint8)
        for one, train in label_map("gta5", class_set(19)).train_ids.items():
            ids[one] = train
        found = read_label(path, label_map("gta5", class_set(19)))
        np.testing.assert_array_equal(found, ids[expected])
        assert image_size(path) == found.shape[1::-1]


def test_labels_of_synthia_are_read_as_a_viewer_shows_them(tmp_path):
    stored = np.dstack([LABEL % 16, LABEL, LABEL]).astype(np.uint16)
    data = cv2.imencode(".png", stored[..., ::-1])[1].tobytes()
    path = tmp_path / "a.png"
    upright = {}
    for orientation in (1, 6):
        path.write_bytes(data[:33] + chunk(b"eXIf", exif(orientation)[6:]) + data[33:])
        upright[orientation] = read_label(path, label_map("synthia", class_set(16)))
    np.testing.assert_array_equal(upright[6], np.rot90(upright[1], -1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "TIFF", "TIFF, grey"])
def test_a_turned_image_fits_its_upright_label(kind, tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for orientation in range(1, 9):
        sides = STORED.shape[1::-1] if orientation > 4 else STORED.shape[:2]
        (tmp_path / "images" / f"{orientation}.png").write_bytes(KINDS[kind](orientation))
        (tmp_path / "labels" / f"{orientation}.png").write_bytes(encoded(np.full(sides, 7, np.uint8)))
    dataset = opened("gta5", tmp_path, "train", 19)
    assert (len(dataset), dataset.skipped) == (8, ())
    for index in range(8):
        assert dataset.image(index).shape[:2] == dataset.label(index).shape
