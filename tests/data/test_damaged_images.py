"""Images that were cut or altered: an error that names the file wherever that can be told, and no other word."""

import base64

import cv2
import numpy as np
import pytest
from broken_images import encoded, picture
from oriented_images import exif
from PIL import Image

from gluon_madapt.data.image_files import read_image
from gluon_madapt.errors import UserError

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL.TiffImagePlugin", "ignore::UserWarning:PIL.JpegImagePlugin"
)

NOISE = np.random.default_rng(0).integers(0, 60, (160, 256, 3)).astype(np.uint8)
PICTURE = picture(160, 256) // 2 + NOISE
JPEGS = {
    "baseline": encoded(PICTURE, "JPEG"),
    "optimized": encoded(PICTURE, "JPEG", optimize=True),
    "progressive": encoded(PICTURE, "JPEG", progressive=True),
    "with restarts": encoded(PICTURE, "JPEG", restart_marker_rows=1),
    "grey": encoded(PICTURE[..., 0], "JPEG"),
    "CMYK": encoded(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
}
# The same as encoded(picture(8, 16), "JPEG", quality=60, subsampling=0), by jpegtran -arithmetic.
ARITHMETIC = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47pH"
    "U`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2J01*fP2mlZR"
    "0TBQK5di}c0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zfBYR%xDjI*fWK-wz-uU~s;TSD(#e?y}qo;c6A=VkJS@zJC00pU;(?O|GV?Hki;"
    "Vs7CdAa2U?!bvB#|Je"
)


def scan(data):
    """Return the range of places in a JPEG where its pixels are."""
    return data.index(b"\xff\xda") + 14, data.rindex(b"\xff\xd9")


def opencv_reads(path):
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return image if image is None else image[..., ::-1]


ALTERATIONS = {
    "a byte": lambda rng, data, place: data[:place] + rng.bytes(1) + data[place + 1 :],
    "bytes": lambda rng, data, place: data[:place] + rng.bytes(64) + data[place + 64 :],
    "zeros": lambda rng, data, place: data[:place] + bytes(512) + data[place + 512 :],
    "a piece is missing": lambda rng, data, place: data[:place] + data[place + rng.integers(1, 999) :],
    "a piece is there twice": lambda rng, data, place: data[:place] + data[place - 99 :],
    "a marker": lambda rng, data, place: data[:place] + b"\xff\xd9" + data[place + 2 :],
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("how", ALTERATIONS)
def test_an_altered_jpeg_is_an_error_wherever_libjpeg_warns(kind, how, tmp_path, capfd):
    """It is read as OpenCV reads it where libjpeg has no word to say of it, and nothing is printed."""
    rng, path, noticed = np.random.default_rng(0), tmp_path / "a.jpg", 0
    first, last = scan(JPEGS[kind])
    for _ in range(12):
        path.write_bytes(ALTERATIONS[how](rng, JPEGS[kind], int(rng.integers(first + 99, last - 999))))
        reference = opencv_reads(path)
        warned = capfd.readouterr().err
        try:
            found = read_image(path)
        except UserError as error:
            noticed += 1
            assert warned or reference is None
            assert str(error).startswith(f"{path}: not readable as an image: it was cut off or altered (")
            assert "\n" not in str(error)
        else:
            assert not warned
            np.testing.assert_array_equal(found, reference)
        assert capfd.readouterr() == ("", "")
    assert noticed >= {"a byte": 0, "a marker": 12 if kind != "progressive" else 1, "a piece is missing": 8}.get(how, 3)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_was_cut_off_is_an_error(kind, tmp_path, capfd):
    path, whole = tmp_path / "a.jpg", JPEGS[kind]
    for end in (2, 9, 99, len(whole) // 2, len(whole) - 3, len(whole) - 2, len(whole) - 1):
        for more in (b"", b"\xff\xd9"):
            path.write_bytes(whole[:end] + more)
            if len(whole) - end <= 2 and more:
                continue
            with pytest.raises(UserError, match=r"a\.jpg: not readable as an image"):
                read_image(path)
    assert capfd.readouterr() == ("", "")


def with_segment(marker, content):
    whole = JPEGS["baseline"]
    return whole[:2] + b"\xff" + marker + (len(content) + 2).to_bytes(2, "big") + content + whole[2:]


def with_odd_scan_header():
    """Return a JPEG as some cameras write it: what only progressive ones need is 0, of which libjpeg warns."""
    first, _ = scan(JPEGS["baseline"])
    return JPEGS["baseline"][: first - 2] + b"\0" + JPEGS["baseline"][first - 1 :]


THUMBNAIL = encoded(picture(8, 8), "JPEG")
WHOLE = {
    **JPEGS,
    "bytes behind it": JPEGS["baseline"] + b"a phone's trailer" * 20,
    "zeros behind it": JPEGS["baseline"] + bytes(999),
    "another one behind it": JPEGS["baseline"] + THUMBNAIL,
    "zeros in front of its end": JPEGS["baseline"][:-2] + bytes(100) + b"\xff\xd9",
    "fill bytes in front of its end": JPEGS["baseline"][:-2] + b"\xff" * 100 + b"\xff\xd9",
    "a thumbnail in EXIF": encoded(PICTURE, "JPEG", exif=exif(1) + THUMBNAIL),
    "MPO": encoded(PICTURE, "MPO", save_all=True, append_images=[Image.fromarray(PICTURE)]),
    "RGB": encoded(PICTURE, "JPEG", keep_rgb=True),
    "half the colours": encoded(PICTURE, "JPEG", subsampling=1),
    "arithmetic": ARITHMETIC,
    "an odd scan header": with_odd_scan_header(),
    "no JFIF": JPEGS["baseline"][:2] + JPEGS["baseline"][20:],
    "an odd revision of JFIF": JPEGS["baseline"][:11] + b"\x09\x09" + JPEGS["baseline"][13:],
    "an odd colour profile": with_segment(b"\xe2", b"ICC_PROFILE\0\7\3nothing"),
    "an odd note of Adobe's": with_segment(b"\xee", b"Adobe\0\x64\0\0\0\0\x09"),
    "odd EXIF": with_segment(b"\xe1", b"Exif\0\0odd"),
    "odd XMP": with_segment(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    "an odd MPO note": with_segment(b"\xe2", b"MPF\0odd"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_jpeg_is_read_whatever_its_kind(kind, tmp_path, capfd):
    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE[kind])
    found = read_image(path)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(found, opencv_reads(path))


OTHERS = {
    "WebP": encoded(PICTURE, "WEBP", lossless=True),
    "WebP, lossy": encoded(PICTURE, "WEBP"),
    "BMP": encoded(PICTURE, "BMP"),
    "TIFF": encoded(PICTURE, "TIFF"),
    "TIFF, LZW": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    "TIFF, deflate": encoded(PICTURE, "TIFF", compression="tiff_deflate"),
    "TIFF, 16 bits": encoded(Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257), "TIFF"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_an_image_of_another_kind_that_was_cut_off_is_an_error(kind, tmp_path, capfd):
    path, whole = tmp_path / "a.tif", OTHERS[kind]
    for end in (3, 20, 99, len(whole) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"a\.tif: not readable as an image"):
            read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [*OTHERS, *JPEGS, "PNG"])
def test_whatever_is_altered_it_is_read_or_one_line(kind, tmp_path, capfd):
    rng, path = np.random.default_rng(0), tmp_path / "a.tif"
    whole = {**OTHERS, **JPEGS, "PNG": encoded(PICTURE)}[kind]
    for _ in range(40):
        data = bytearray(whole)
        for place in rng.integers(0, rng.choice([200, len(data)]), 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert read_image(path).ndim == 3
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def test_numbers_of_32_bits_are_no_image(tmp_path, capfd):
    path = tmp_path / "a.tif"
    for mode in ("I", "F"):
        path.write_bytes(encoded(Image.fromarray(PICTURE[..., 0]).convert(mode), "TIFF"))
        with pytest.raises(UserError, match="is an image of 32-bit numbers: expected 8 or 16 bits"):
            read_image(path)
    assert capfd.readouterr() == ("", "")
