"""Label files written byte by byte, so that what is stored is known without any decoder."""

import struct
import zlib

import numpy as np

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
# Where the passes of an interlaced PNG begin, and their steps: row, column, row step, column step.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def packed(samples, bits, order=">"):
    """Return samples, (H, W) or (H, W, C), as bytes: each row ends at a whole byte."""
    rows = np.asarray(samples).reshape(len(samples), -1)
    if bits >= 8:
        return rows.astype(f"{order}{'i' if rows.dtype.kind == 'i' and rows.min() < 0 else 'u'}{bits // 8}").tobytes()
    digits = (rows[..., None].astype(np.uint8) >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.reshape(len(rows), -1), axis=1).tobytes()


def png(samples, bits=8, colour=None, palette=None, transparency=None, interlaced=False, turned=None, more=()):
    """Return a PNG; ``palette`` is (n, 3), ``transparency`` the content of tRNS, ``turned`` an orientation of EXIF."""
    samples = np.asarray(samples)
    if colour is None:
        channels = {2: _GREY_ALPHA, 3: _RGB, 4: _RGBA}
        colour = _PALETTE if palette is not None else _GREY if samples.ndim == 2 else channels[samples.shape[2]]
    parts = [samples[a::c, b::d] for a, b, c, d in _PASSES] if interlaced else [samples]
    rows = b"".join(b"\0" + packed(row[None], bits) for part in parts if part.size for row in part)
    height, width = samples.shape[:2]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)), *more]
    if palette is not None:
        chunks.append((b"PLTE", np.asarray(palette, np.uint8).tobytes()))
    if transparency is not None:
        chunks.append((b"tRNS", transparency))
    if turned:
        chunks.append((b"eXIf", b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, turned, 0) + bytes(4)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def tiff(
    samples,
    bits=8,
    order="<",
    meaning=1,
    compression=1,
    kind=1,
    fill=1,
    tile=None,
    separate=False,
    palette=None,
    rows_per_strip=None,
    turned=None,
    extra=None,
    pages=1,
    float32=False,
):
    """Return a TIFF; ``kind`` is its sample format, ``palette`` (n, 3) of 16 bits, ``tile`` the side of a tile."""
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    planes = [samples[..., i] for i in range(channels)] if separate and channels > 1 else [samples]
    blocks = []
    for plane in planes:
        if tile:
            spare = [(0, -height % tile), (0, -width % tile), (0, 0)][: plane.ndim]
            wide = np.pad(plane, spare)
            blocks += [wide[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        else:
            step = rows_per_strip or height
            blocks += [plane[y : y + step] for y in range(0, height, step)]
    encoded = [block.astype(f"{order}f4").tobytes() if float32 else packed(block, bits, order) for block in blocks]
    encoded = [_COMPRESSED[compression](one) for one in encoded]
    if fill == 2:  # the bits of each byte backwards
        reverse = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
        encoded = [one.translate(reverse) for one in encoded]
    tags = {256: width, 257: height, 258: [bits] * channels, 259: compression, 262: meaning, 266: fill, 277: channels}
    tags.update({284: 2 if separate else 1, 339: [kind] * channels})
    if turned:
        tags[274] = turned
    if extra is not None:
        tags[338] = extra
    if palette is not None:
        tags[320] = np.asarray(palette).T.ravel().tolist()
    tags.update({322: tile, 323: tile} if tile else {278: rows_per_strip or height})
    places = (324, 325) if tile else (273, 279)
    start, data, offsets = 8, b"", []
    for one in encoded:
        offsets.append(start + len(data))
        data += one + bytes(len(one) % 2)
    tags.update({places[0]: offsets, places[1]: [len(one) for one in encoded]})
    whole = data
    first = place = start + len(data)
    for page in range(pages):
        directory = _directory(tags, order, place, last=page == pages - 1)
        whole, place = whole + directory, place + len(directory)
    return {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, first) + whole


def _directory(tags, order, place, last):
    entries, far = b"", b""
    after = place + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, list) else [value]
        letter, number = ("I", 4) if tag in (273, 279, 324, 325) else ("H", 3)
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            where = after + len(far)
            far += content + bytes(len(content) % 2)
            content = struct.pack(f"{order}I", where)
        entries += struct.pack(f"{order}HHI", tag, number, len(values)) + content.ljust(4, b"\0")
    following = 0 if last else after + len(far)
    return struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", following) + far


def _packbits(data):
    return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))


def _lzw(data):
    """Return LZW codes of nine bits: the table is cleared before it would need more."""
    codes = [code for i in range(0, len(data), 200) for code in (256, *data[i : i + 200])] + [257]
    digits = "".join(f"{code:09b}" for code in codes)
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8))


_COMPRESSED = {1: bytes, 5: _lzw, 8: zlib.compress, 32946: zlib.compress, 32773: _packbits}


def bmp(samples, bits, palette=None, core=False):
    """Return a BMP; ``palette`` is (n, 3) RGB, ``core`` says that its header is the short one of OS/2."""
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    if samples.ndim == 3:
        samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    data = b"".join(row + bytes(-len(row) % 4) for row in (packed(one[None], bits) for one in samples[::-1]))
    colours = b"" if palette is None else b"".join(bytes([b, g, r, 0][: 3 if core else 4]) for r, g, b in palette)
    number = 0 if palette is None else len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(data), 0, 0, number, 0)
    if core:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    start = 14 + len(header) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + colours + data


def gif(indices, palette, transparent=None, shown=None):
    """Return a GIF; ``palette`` is (256, 3), ``shown`` the width and height of a canvas larger than its one frame."""
    height, width = np.asarray(indices).shape
    values = np.asarray(indices).ravel().tolist()
    codes = [code for i in range(0, len(values), 200) for code in (256, *values[i : i + 200])] + [257]
    digits = "".join(f"{code:09b}"[::-1] for code in codes)
    digits += "0" * (-len(digits) % 8)
    data = bytes(int(digits[i : i + 8][::-1], 2) for i in range(0, len(digits), 8))
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    start = b"GIF89a" + struct.pack("<HHBBB", *(shown or (width, height)), 0xF7, 0, 0)
    control = b"" if transparent is None else b"!\xf9\x04\x01\0\0" + bytes([transparent, 0])
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08" + blocks + b"\0"
    return start + np.asarray(palette, np.uint8).tobytes() + control + frame + b";"
