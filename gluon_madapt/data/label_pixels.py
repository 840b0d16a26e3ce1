"""Decodes label files to the values that are stored, some of which decoders of photographs scale, invert or cut."""

import io
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Tuple

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from gluon_madapt.data.image_files import read_whole
from gluon_madapt.data.image_headers import NOT_AN_IMAGE, orientation_of, reason, upright
from gluon_madapt.errors import UserError

ONE_CHANNEL = ("1", "L", "LA", "La", "P", "PA")
MORE_BITS = ("I;16", "I;16B", "I;16L", "I")
COLOURS = ("RGB", "RGBA", "P", "PA")

# Kinds of files and of compression, by Pillow's names, that keep every value as it was.
_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF", "PPM", "TGA", "PCX", "SGI")
_LOSSLESS_IN_TIFF = (
    *("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd"),
    *("tiff_ccitt", "group3", "group4"),
)
# How pixels are packed, by Pillow's names: what it multiplies the stored values by.
_FACTORS = {"1": 255, "L;2": 85, "L;4": 17}
_PACKED_IN_BITS = (*_FACTORS, "P;1", "P;2", "P;4")
_PACKED_IN_BYTES = (
    *("L", "LX", "LA", "La", "P", "PX", "PA", "RGB", "RGBX", "RGBA", "RGBa", "R", "G", "B", "A", "X"),
    *("BGR", "BGRX", "XBGR", "BGXR", "BGRA", "ABGR", "BGAR"),
)
_PACKED_WIDER = ("I;16", "I;16L", "I;16B", "I;16N", "I;16S", "I;16BS", "I;32N", "I;32S", "I;32BS", "I;12")
# Tags of TIFF.
_BITS, _MEANING, _BIT_ORDER, _PLANES, _SIGNS = 258, 262, 266, 284, 339
_WHITE_IS_ZERO, _REVERSED, _SEPARATE, _SIGNED = 0, 2, 2, 2
# What damaged files make decoders raise.
_UNDECODABLE = (*NOT_AN_IMAGE, LookupError, TypeError, ArithmeticError, AttributeError, struct.error)


def read_numbers(path: Path, modes: Tuple[str, ...], expected: str) -> np.ndarray:
    """Read the one channel of a label file, or the indices of its palette, upright.

    Parameters
    ----------
    path : Path
        The file.
    modes : tuple of str
        Pillow's modes that may occur.
    expected : str
        What the values should be, for messages.

    Returns
    -------
    np.ndarray
        (H, W) uint8, or an unsigned or signed integer type of more bits, none below 0.

    Raises
    ------
    UserError
        If the file is missing, broken or of another format, or its values cannot be read as they are stored.
    """
    with _opened(path, modes, expected) as image:
        factors = [_FACTORS[packing] for packing in _packings(image) if packing in _FACTORS]
        signed = isinstance(image, TiffImageFile) and _SIGNED in image.tag_v2.get(_SIGNS, ())
        pixels = upright(_loaded(image), orientation_of(image))
        if pixels.ndim == 3:  # noqa: PLR2004 - with an alpha channel
            _refuse_transparent(path, pixels[..., 1])
            pixels = pixels[..., 0]
    pixels = pixels.view(pixels.dtype.str[:1] + ("i" if signed else "u") + pixels.dtype.str[2:])
    if pixels.min(initial=0) < 0:
        raise UserError(f"{path}: holds values below 0 ({pixels.min()}): expected {expected}")
    if factors:
        return pixels // np.uint8(factors[0])
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def read_colours(path: Path, expected: str) -> np.ndarray:
    """Read a label image of colours, upright, as (H, W) int32, 0xRRGGBB.

    Raises
    ------
    UserError
        As `read_numbers`; and if a pixel is not opaque, or its index is of no colour of the palette.
    """
    with _opened(path, COLOURS, expected) as image:
        pixels = _loaded(image)
        if image.mode in ("P", "PA"):
            indices = pixels if image.mode == "P" else pixels[..., 0]
            known = len(image.getpalette() or ()) // 3
            if indices.max(initial=0) >= known:
                raise UserError(f"{path}: holds index {indices.max()}, and its palette has {known} colours")
        colours = upright(np.asarray(image.convert("RGBA")), orientation_of(image))
    red, green, blue, alpha = np.moveaxis(colours, -1, 0)
    _refuse_transparent(path, alpha)
    return (red.astype(np.int32) << 16) | (green.astype(np.int32) << 8) | blue


@contextmanager
def _opened(path: Path, modes: Tuple[str, ...], expected: str) -> Iterator[ImageFile.ImageFile]:
    """Open a label file whose values can be read as they are stored; errors, those of decoding too, name the file."""
    data = read_whole(path, "a label image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            fault = _fault(image, modes, expected)
            if fault:
                raise UserError(f"{path}: is a label image of {fault}")
            yield image
    except _UNDECODABLE as error:
        raise UserError(f"{path}: not readable as a label image ({reason(error, path)})") from None


def _fault(image: ImageFile.ImageFile, modes: Tuple[str, ...], expected: str) -> str:
    """Say what keeps the values of a label file from being read as they are stored; nothing where nothing does."""
    compression = image.info.get("compression") if image.format == "TIFF" else "raw"
    if image.format not in _LOSSLESS or compression not in _LOSSLESS_IN_TIFF:
        inside = f", compressed as {compression}" if image.format == "TIFF" else ""
        return f"kind {image.format}{inside}, which may alter ids: expected PNG"
    if image.mode not in modes:
        return f"mode {image.mode}: expected {expected}"
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return f"{frames} frames or pages: expected one"
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_MEANING, _WHITE_IS_ZERO) == _WHITE_IS_ZERO:
        return "values that count from white to black: expected PNG, or TIFF where 0 is black"
    strange = [packing for packing in _packings(image) if not _is_exact(image, packing)]
    if strange:
        return f"mode {image.mode}, packed as {strange[0]}, which is not read as it is stored: expected {expected}"
    return ""


def _packings(image: ImageFile.ImageFile) -> Iterator[str]:
    """Yield how the pixels of each tile are packed, by Pillow's names; without what says that bits are reversed."""
    for _, box, _, arguments in image.tile:
        if image.format == "GIF":  # where all are indices; a frame may leave out the border
            yield "P" if box and tuple(box) == (0, 0, *image.size) else "a part of the picture"
            continue
        mode = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
        channels, _, depth = mode.partition(";")
        yield ";".join(filter(None, (channels, depth.rstrip("R"))))


def _is_exact(image: ImageFile.ImageFile, packing: str) -> bool:
    """Tell whether Pillow reads what is packed in this way as it is stored, but for a factor."""
    if packing in _PACKED_IN_BITS:
        bits = int(packing[-1])
    elif packing in _PACKED_IN_BYTES:
        bits = 8
    else:
        # libtiff returns the machine's byte order, and Pillow swaps the bytes of these once more.
        swapped = packing.endswith("BS") and any(tile[0] == "libtiff" for tile in image.tile)
        return packing in _PACKED_WIDER and not swapped
    if image.format == "BMP":  # grey palettes are read as 1 or 8 bits, whatever they are
        return bits == _bits_of_bmp(image)
    if isinstance(
        image, TiffImageFile
    ):  # of separate planes the first letter of the packing is taken for it, and no more
        backwards = image.tag_v2.get(_BIT_ORDER) == _REVERSED and image.tag_v2.get(_PLANES) == _SEPARATE
        return not backwards and all(depth == bits for depth in image.tag_v2.get(_BITS, (1,)))
    if image.format == "PPM":  # scaled to 8 or 16 bits from any other largest value
        return all(tile[0] == "raw" or (tile[3] or (0,))[-1] in (0xFF, 0xFFFF) for tile in image.tile)
    return True


def _bits_of_bmp(image: ImageFile.ImageFile) -> int:
    """Return the bits of a pixel in a palette, as the header of a BMP says; 8, those of a channel, without one."""
    if image.fp is None:
        raise ValueError("its file was closed")
    image.fp.seek(14)
    header = image.fp.read(16)
    (bits,) = struct.unpack_from("<H", header, 10 if header[0] == 12 else 14)  # noqa: PLR2004 - OS/2's short one
    return min(bits, 8)


def _loaded(image: Image.Image) -> np.ndarray:
    image.load()
    return np.asarray(image)


def _refuse_transparent(path: Path, alpha: np.ndarray) -> None:
    if (alpha != 0xFF).any():  # noqa: PLR2004 - opaque
        count = int((alpha != 0xFF).sum())  # noqa: PLR2004
        raise UserError(f"{path}: is transparent in {count} pixels: what class they are of is not clear: expected none")
