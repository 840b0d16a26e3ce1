"""Images of every kind of file that says how to turn it, written as files."""

import struct
import zlib

import numpy as np
from broken_images import encoded, picture
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Odd, so that no side is another one, with nothing symmetric about it.
STORED = picture(23, 37)
GREY = np.ascontiguousarray(STORED[..., 0])


def exif(orientation, order="<", kind="H"):
    """Return EXIF of one entry, the orientation; of a kind 'H' or 'I' of number, in the order of bytes '<' or '>'."""
    value = struct.pack(order + kind, orientation).ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 1)
    return b"Exif\0\0" + head + struct.pack(order + "HHI", 0x0112, {"H": 3, "I": 4}[kind], 1) + value + bytes(4)


def xmp(orientation):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'


def tiff(orientation, order="<", with_exif=False):
    """Return a TIFF of STORED, in the order of bytes '<' or '>', with or without a folder of EXIF's in it."""
    height, width = STORED.shape[:2]
    tags = {256: width, 257: height, 258: None, 259: 1, 262: 2, 273: None, 274: orientation, 277: 3, 278: height}
    tags[279] = STORED.size
    if with_exif:
        tags[34665] = None
    bits = 8 + 2 + 12 * len(tags) + 4
    folder = bits + 6
    pixels = folder + 18
    tags.update({258: bits, 273: pixels})
    if with_exif:
        tags[34665] = folder
    entries = b"".join(
        struct.pack(order + "HHI", tag, 4 if tag in (273, 279, 34665) else 3, 3 if tag == 258 else 1)
        + (struct.pack(order + "I" if tag in (258, 273, 279, 34665) else order + "HH", *_values(tag, value)))
        for tag, value in sorted(tags.items())
    )
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)
    iso = struct.pack(order + "HHHIHHI", 1, 34855, 3, 1, 100, 0, 0)
    return head + struct.pack(order + "HHH", 8, 8, 8) + iso + STORED.tobytes()


def _values(tag, value):
    return (value,) if tag in (258, 273, 279, 34665) else (value, 0)


def chunk(kind, content):
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(place, kind, content):
    """Return a PNG of STORED with a chunk in front of its pixels, or behind them."""
    data = encoded(STORED)
    start = 33 if place == "in front" else data.index(b"\0\0\0\0IEND")
    return data[:start] + chunk(kind, content) + data[start:]


def by_exif(image, kind, **options):
    return lambda orientation: encoded(image, kind, exif=exif(orientation), **options)


def by_tag(image, **options):
    return lambda orientation: encoded(image, "TIFF", tiffinfo={0x0112: orientation}, **options)


def _raw_profile(orientation):
    info = PngInfo()
    content = exif(orientation)
    info.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}\n", zip=True)
    return encoded(STORED, "PNG", pnginfo=info)


def _png_of_xmp(orientation):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(orientation))
    return encoded(STORED, "PNG", pnginfo=info)


RGB = Image.fromarray(STORED)
ALPHA = Image.fromarray(np.dstack([STORED, np.full(GREY.shape, 99, "u1")]))
PALETTE = RGB.quantize(64)
DEEP = Image.fromarray(GREY.astype(np.uint16) * 257)

# By name: the bytes of a file of an orientation.
KINDS = {
    "PNG": by_exif(RGB, "PNG"),
    "PNG, grey": by_exif(RGB.convert("L"), "PNG"),
    "PNG, palette": by_exif(PALETTE, "PNG"),
    "PNG, alpha": by_exif(ALPHA, "PNG"),
    "PNG, 16 bits": by_exif(DEEP, "PNG"),
    "PNG, one bit": by_exif(RGB.convert("1"), "PNG"),
    "PNG, behind its pixels": lambda o: png_with("behind", b"eXIf", exif(o)[6:]),
    "PNG, big-endian": lambda o: png_with("in front", b"eXIf", exif(o, ">")[6:]),
    "PNG, ImageMagick's text": _raw_profile,
    "PNG, XMP": _png_of_xmp,
    "JPEG": by_exif(RGB, "JPEG", quality=95),
    "JPEG, progressive": by_exif(RGB, "JPEG", progressive=True),
    "JPEG, grey": by_exif(RGB.convert("L"), "JPEG"),
    "JPEG, CMYK": by_exif(RGB.convert("CMYK"), "JPEG"),
    "JPEG, big-endian, a long number": lambda o: encoded(RGB, "JPEG", exif=exif(o, ">", "I")),
    "JPEG, XMP": lambda o: encoded(RGB, "JPEG", xmp=xmp(o).encode()),
    "MPO": by_exif(RGB, "MPO", save_all=True, append_images=[RGB]),
    "WebP": by_exif(RGB, "WEBP", lossless=True),
    "WebP, lossy": by_exif(RGB, "WEBP", quality=90),
    "WebP, alpha": by_exif(ALPHA, "WEBP", lossless=True, exact=True),
    "WebP, XMP": lambda o: encoded(RGB, "WEBP", lossless=True, xmp=xmp(o).encode()),
    "TIFF": tiff,
    "TIFF, big-endian": lambda o: tiff(o, ">"),
    "TIFF with EXIF": lambda o: tiff(o, "<", True),
    "TIFF, big-endian, with EXIF": lambda o: tiff(o, ">", True),
    "TIFF, BigTIFF": by_tag(RGB, big_tiff=True),
    "TIFF, grey": by_tag(RGB.convert("L")),
    "TIFF, palette": by_tag(PALETTE),
    "TIFF, alpha": by_tag(ALPHA),
    "TIFF, 16 bits": by_tag(DEEP),
    "TIFF, one bit": by_tag(RGB.convert("1")),
    "TIFF, CMYK": by_tag(RGB.convert("CMYK")),
    "TIFF, XMP": lambda o: encoded(RGB, "TIFF", tiffinfo={700: xmp(o).encode()}),
}
