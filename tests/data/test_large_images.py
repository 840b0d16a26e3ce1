"""Images of more pixels than are read: one line for every kind, before anything is decoded."""

import struct

import cv2
import numpy as np
import pytest
from broken_images import encoded, picture
from conftest import opened
from oriented_images import chunk
from PIL import Image

from gluon_madapt.data.image_files import image_size, read_image
from gluon_madapt.data.label_files import read_label
from gluon_madapt.errors import UserError
from gluon_madapt.labels import class_set, label_map

SMALL = picture(8, 8)


def png(width, height):
    data = encoded(SMALL)
    return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def jpeg(width, height, **options):
    data = bytearray(encoded(SMALL, "JPEG", **options))
    place = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width, height):
    data = bytearray(encoded(SMALL, "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def gif(width, height):
    data = bytearray(encoded(SMALL, "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def tiff(width, height):
    data = encoded(SMALL, "TIFF")
    for tag, side in ((256, width), (257, height)):
        place = data.index(struct.pack("<HHI", tag, 4, 1))
        data = data[: place + 8] + struct.pack("<I", side) + data[place + 12 :]
    return data


def webp(width, height):
    data = bytearray(encoded(SMALL, "WEBP", lossless=True))
    place = data.index(b"VP8L") + 9
    bits = struct.unpack("<I", data[place : place + 4])[0] & ~((1 << 28) - 1)
    data[place : place + 4] = struct.pack("<I", bits | (height - 1) << 14 | (width - 1))
    return bytes(data)


KINDS = {
    "PNG": png,
    "JPEG": jpeg,
    "JPEG, progressive": lambda *size: jpeg(*size, progressive=True),
    "BMP": bmp,
    "GIF": gif,
    "TIFF": tiff,
    "WebP": webp,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16383, 8193), (12000, 16000)])
def test_an_image_that_is_too_large_is_one_line(kind, size, tmp_path, capfd, recwarn):
    path = tmp_path / "a.png"
    path.write_bytes(KINDS[kind](*size))
    expected = rf"a\.png: is {size[0]}x{size[1]}, {size[0] * size[1] / 1e6:.0f} megapixels: expected at most 134 and "
    for read in (read_image, image_size, lambda one: read_label(one, label_map("gta5", class_set(19)))):
        with pytest.raises(UserError, match=expected) as error:
            read(path)
        assert "\n" not in str(error.value)
    assert "".join(capfd.readouterr()) == ""
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_image_whose_side_is_too_long_is_one_line(kind, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(KINDS[kind]((1 << 20) + 1, 8))
    with pytest.raises(UserError, match="expected at most 134 and sides of at most 1048576 pixels"):
        read_image(path)


def test_the_limit_may_be_set(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(SMALL))
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "63")
    with pytest.raises(UserError, match="is 8x8"):
        read_image(path)
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "64")
    assert read_image(path).shape == SMALL.shape


def test_ninety_megapixels_are_read_without_a_word(tmp_path, capfd, recwarn):
    """Pillow warns from 89 megapixels on, where it is not told otherwise."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        flat = np.full((9500, 9500), 7, np.uint8)
        (tmp_path / folder / "a.png").write_bytes(cv2.imencode(".png", flat, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
    dataset = opened("gta5", tmp_path, "train", 19)
    assert dataset.image(0).shape == (9500, 9500, 3)
    assert not dataset.label(0).any(), "road"
    (tmp_path / "a.tif").write_bytes(encoded(Image.new("1", (9500, 9500)), "TIFF", compression="group4"))
    assert image_size(tmp_path / "a.tif") == (9500, 9500)
    assert "".join(capfd.readouterr()) == ""
    assert not recwarn.list
