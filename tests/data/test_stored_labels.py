"""Label files of every kind: what is stored in them is what is read, or they are refused in one line."""

import struct

import numpy as np
import pytest
from broken_images import encoded
from label_files import bmp, gif, png, tiff
from PIL import Image

from gluon_madapt.data.label_files import read_label, read_train_ids
from gluon_madapt.data.label_pixels import MORE_BITS, ONE_CHANNEL, read_colours, read_numbers
from gluon_madapt.errors import UserError
from gluon_madapt.labels import LabelMap, class_set, encode_ids, label_map

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 19, 21  # no whole number of bytes, tiles or interlaced blocks


def values(bits):
    return RNG.integers(0, 2 ** min(bits, 31), (ROWS, COLUMNS))


def colours(number, factor=1):
    return RNG.permutation(256)[:number, None] * np.array([1, 0, 0]) * factor + np.array([0, 7, 9]) * factor


IDS = {bits: values(bits) for bits in (1, 2, 4, 8, 16, 32)}
SMALL, WIDE = IDS[8], IDS[16]
OPAQUE, CLEAR = np.full_like(SMALL, 255), np.full_like(SMALL, 254)
GREY = np.arange(256)[:, None].repeat(3, axis=1)
RGB = RNG.integers(0, 256, (ROWS, COLUMNS, 3))


def _read_as_stored():
    """Return files by name, and what they store."""
    kinds = {}
    for bits, ids in IDS.items():
        if bits <= 16:
            for interlaced in (False, True):
                kinds[f"PNG, grey, {bits} bits, interlaced {interlaced}"] = png(ids, bits, interlaced=interlaced), ids
            kinds[f"PNG, grey, {bits} bits, with a colour that is transparent"] = (
                png(ids, bits, transparency=struct.pack(">H", 1)),
                ids,
            )
        if bits <= 8:
            table = colours(2**bits)
            kinds[f"PNG, palette of {bits} bits"] = png(ids, bits, palette=table), ids
            kinds[f"PNG, palette of {bits} bits, interlaced"] = png(ids, bits, palette=table, interlaced=True), ids
            kinds[f"PNG, palette of {bits} bits, transparent"] = png(ids, bits, palette=table, transparency=b"\0"), ids
        for order in "<>":
            if (bits, order) != (32, ">"):
                for compression in (1, 5, 8, 32946, 32773):
                    for form in ({}, {"rows_per_strip": 4}, {"tile": 16}):
                        name = f"TIFF {order}, {bits} bits, compression {compression}, {form}"
                        kinds[name] = tiff(ids, bits, order, compression=compression, **form), ids
            if bits <= 8:
                table = colours(2**bits, 257)
                kinds[f"TIFF {order}, palette of {bits} bits"] = tiff(ids, bits, order, 3, palette=table), ids
                kinds[f"TIFF {order}, {bits} bits, backwards"] = tiff(ids, bits, order, fill=2), ids
                kinds[f"TIFF {order}, {bits} bits, LZW backwards"] = tiff(ids, bits, order, compression=5, fill=2), ids
            else:
                signed = ids >> 1
                kinds[f"TIFF {order}, {bits} bits, signed"] = tiff(signed, bits, order, kind=2), signed
        if bits in (1, 4, 8):
            for core in (False, True):
                kinds[f"BMP of {bits} bits, core {core}"] = bmp(ids, bits, colours(2**bits), core), ids
    kinds["PNG, grey and opaque"] = png(np.dstack([SMALL, OPAQUE])), SMALL
    kinds["PNG that says to turn it"] = png(SMALL, turned=6), np.rot90(SMALL, -1)
    kinds["TIFF that says to turn it"] = tiff(SMALL, turned=6), np.rot90(SMALL, -1)
    kinds["TIFF, the highest values"] = tiff(SMALL + (2**32 - 256), 32), SMALL + (2**32 - 256)
    kinds["TIFF, one channel in a plane"] = tiff(SMALL, separate=True), SMALL
    kinds["BMP of 1 bit, black and white"] = bmp(IDS[1], 1, [[0] * 3, [255] * 3]), IDS[1]
    kinds["BMP of 1 bit, white and black"] = bmp(IDS[1], 1, [[255] * 3, [0] * 3]), IDS[1]
    kinds["BMP of 8 bits, grey"] = bmp(SMALL, 8, GREY), SMALL
    kinds["BMP of 8 bits, grey backwards"] = bmp(SMALL, 8, GREY[::-1]), SMALL
    kinds["GIF"] = gif(SMALL, colours(256)), SMALL
    kinds["GIF, grey"] = gif(SMALL, GREY), SMALL
    kinds["GIF, transparent"] = gif(SMALL, colours(256), transparent=5), SMALL
    kinds["PGM"] = b"P5 21 19 255\n" + SMALL.astype(np.uint8).tobytes(), SMALL
    kinds["PGM of 16 bits"] = b"P5 21 19 65535\n" + WIDE.astype(">u2").tobytes(), WIDE
    return kinds


STORED = _read_as_stored()

# Files whose values a decoder changes, or which mean several things, and a part of what is said of them.
REFUSED = {
    "PNG, colours": (png(RGB), "mode RGB: expected numbers"),
    "PNG, grey and not opaque": (png(np.dstack([SMALL, CLEAR])), "transparent in 399 pixels"),
    "PNG, grey and alpha of 16 bits": (png(np.dstack([SMALL, OPAQUE]) * 257, 16), "mode"),
    "PNG, animated": (
        encoded(Image.new("L", (9, 9)), save_all=True, append_images=[Image.new("L", (9, 9), 3)]),
        "2 frames",
    ),
    **{
        f"TIFF, white is zero, {bits} bits": (tiff(IDS[bits], bits, meaning=0), "from white to black")
        for bits in (1, 2, 4, 8, 16)
    },
    "TIFF, several pages": (tiff(SMALL, pages=2), "2 frames or pages: expected one"),
    "TIFF, floats": (tiff(SMALL, 32, kind=3, float32=True), "mode F"),
    "TIFF, -1 in 8 bits": (tiff(SMALL // 2 - 1, 8, kind=2), r"below 0 \(-1\)"),
    "TIFF, -1 in 16 bits": (tiff(SMALL - 1, 16, kind=2), r"below 0 \(-1\)"),
    "TIFF, -1 in 32 bits": (tiff(SMALL - 1, 32, ">", kind=2), r"below 0 \(-1\)"),
    "TIFF, big-endian, 16 bits signed, LZW": (tiff(WIDE // 2, 16, ">", kind=2, compression=5), "packed as I;16BS"),
    "TIFF, big-endian, 32 bits signed, LZW": (tiff(WIDE, 32, ">", kind=2, compression=5), "packed as I;32BS"),
    "TIFF, one plane backwards": (tiff(SMALL, fill=2, separate=True), "packed as L"),
    "TIFF, palette of 4 bits in a plane": (tiff(IDS[4], 4, meaning=3, palette=colours(16), separate=True), "packed as"),
    "TIFF, JPEG inside": (encoded(SMALL.astype("u1"), "TIFF", compression="jpeg"), "compressed as jpeg, which may alt"),
    "BMP of 4 bits, two colours": (bmp(IDS[1], 4, [[0] * 3, [255] * 3]), "packed as 1"),
    "BMP of 8 bits, two colours": (bmp(IDS[1], 8, [[0] * 3, [255] * 3]), "packed as 1"),
    "BMP of 4 bits, grey": (bmp(IDS[4], 4, GREY[:16]), ""),
    "GIF, a part of its canvas": (gif(SMALL, colours(256), shown=(40, 40)), "a part of the picture"),
    "PGM of other values": (b"P5 21 19 200\n" + (SMALL % 201).astype(np.uint8).tobytes(), "packed as L"),
    "PBM": (b"P4 21 19\n" + bytes(3 * 19), "packed as 1;I"),
    "JPEG": (encoded(SMALL.astype("u1"), "JPEG"), "kind JPEG, which may alter ids"),
    "WebP": (encoded(RGB.astype("u1"), "WEBP"), "kind WEBP, which may alter ids"),
    "WebP, lossless": (encoded(RGB.astype("u1"), "WEBP", lossless=True), "kind WEBP, which may alter ids"),
}


@pytest.mark.parametrize("kind", STORED)
def test_ids_are_those_that_are_stored(kind, tmp_path):
    content, stored = STORED[kind]
    path = tmp_path / "label"
    path.write_bytes(content)
    found = read_numbers(path, ONE_CHANNEL + MORE_BITS, "numbers")
    assert found.shape == stored.shape
    assert found.astype(np.int64).tolist() == stored.tolist()


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_not_read_as_it_is_stored_is_refused(kind, tmp_path):
    content, part = REFUSED[kind]
    path = tmp_path / "label"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"label: .*{part}") as caught:
        read_numbers(path, ONE_CHANNEL + MORE_BITS, "numbers")
    assert "\n" not in str(caught.value)


def _hexadecimal(rgb):
    return (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]


COLOURED = {
    "PNG": (png(RGB), RGB),
    "PNG, interlaced": (png(RGB, interlaced=True), RGB),
    "PNG, opaque": (png(np.dstack([RGB, OPAQUE])), RGB),
    "PNG, with a transparent colour that no pixel has": (png(RGB | 1, transparency=bytes(6)), RGB | 1),
    "BMP of 24 bits": (encoded(RGB.astype("u1"), "BMP"), RGB),
    "BMP of 32 bits": (encoded(np.dstack([RGB, OPAQUE]).astype("u1"), "BMP"), RGB),
    **{
        f"TIFF {order}, compression {compression}, separate {separate}, opaque {opaque}, {form}": (
            tiff(
                np.dstack([RGB, OPAQUE]) if opaque else RGB,
                order=order,
                meaning=2,
                compression=compression,
                separate=separate,
                extra=2 if opaque else None,
                **form,
            ),
            RGB,
        )
        for order in "<>"
        for compression in (1, 5, 8)
        for separate in (False, True)
        for opaque in (False, True)
        for form in ({}, {"tile": 16})
    },
}
for _bits in (1, 2, 4, 8):
    _table = colours(2**_bits)
    COLOURED[f"PNG, palette of {_bits} bits"] = png(IDS[_bits], _bits, palette=_table), _table[IDS[_bits]]
    COLOURED[f"PNG, palette of {_bits} bits, opaque"] = (
        png(IDS[_bits], _bits, palette=_table, transparency=b"\xff" * len(_table)),
        _table[IDS[_bits]],
    )
    if _bits == 8:
        COLOURED["GIF"] = gif(SMALL, _table), _table[SMALL]
    COLOURED[f"TIFF, palette of {_bits} bits"] = (
        tiff(IDS[_bits], _bits, meaning=3, palette=_table * 257),
        _table[IDS[_bits]],
    )

NOT_COLOURED = {
    "grey": (png(SMALL), "mode L: expected colours"),
    "a pixel that is not opaque": (png(np.dstack([RGB, np.where(SMALL[0, 0] == SMALL, 9, 255)])), "is transparent in"),
    "a colour that is transparent": (png(RGB, transparency=struct.pack(">HHH", *RGB[0, 0])), "is transparent in 1"),
    "an index that is transparent": (png(IDS[2], 2, palette=colours(4), transparency=b"\xff\xff\0"), "is transparent"),
    "an index without a colour": (png(IDS[2], 2, palette=colours(3)), "holds index 3, and its palette has 3"),
    "16 bits": (png(RGB * 257, 16), "packed as RGB;16B"),
    "16 bits, opaque": (png(np.dstack([RGB, OPAQUE]) * 257, 16), "packed as RGBA;16B"),
    "TIFF of 16 bits": (tiff(RGB * 257, 16, meaning=2), "packed as RGB;16L"),
    "YCbCr": (tiff(RGB, meaning=6), "mode YCbCr"),
    "WebP": (encoded(RGB.astype("u1"), "WEBP"), "kind WEBP"),
}


@pytest.mark.parametrize("kind", COLOURED)
def test_colours_are_those_that_are_stored(kind, tmp_path):
    content, stored = COLOURED[kind]
    path = tmp_path / "label"
    path.write_bytes(content)
    assert read_colours(path, "colours").tolist() == _hexadecimal(stored).tolist()


@pytest.mark.parametrize("kind", NOT_COLOURED)
def test_colours_that_are_not_clear_are_refused(kind, tmp_path):
    content, part = NOT_COLOURED[kind]
    path = tmp_path / "label"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"label: .*{part}"):
        read_colours(path, "colours")


@pytest.mark.parametrize("dataset", ["gta5", "cityscapes"])
@pytest.mark.parametrize("bits", [4, 8])
def test_labels_of_published_data_sets_and_proxies_are_read_in_the_same_way(dataset, bits, tmp_path):
    classes = class_set(19)
    train_ids = np.array([[0, 1, 2, 3, 4, 255, 255]]) if bits == 4 else np.array([[*range(19), 255]])
    ids = encode_ids(train_ids.astype(np.uint8), dataset, classes)
    for content in (png(ids, bits), png(ids, bits, palette=colours(2**bits)), tiff(ids, bits, ">")):
        (tmp_path / "a.png").write_bytes(content)
        assert read_label(tmp_path / "a.png", label_map(dataset, classes)).tolist() == train_ids.tolist()
    (tmp_path / "b.png").write_bytes(png(train_ids % 16, bits))
    assert read_train_ids(tmp_path / "b.png", 19).tolist() == (train_ids % 16).tolist()


def test_a_mask_of_one_bit_may_be_a_label(tmp_path):
    mask = np.array([[0, 1, 1], [1, 0, 0]])
    (tmp_path / "a.png").write_bytes(png(mask, 1))
    labels = LabelMap("data.source", {0: 0, 1: 1}, (255,))
    assert read_label(tmp_path / "a.png", labels).tolist() == mask.tolist()
