"""Reads the header of an image: its size, and how to turn it upright."""

import ctypes
import io
import logging
import os
import warnings
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Tuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from gluon_madapt.errors import UserError

PNG = b"\x89PNG\r\n\x1a\n"
NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)

# The limit is checked here, for every kind of file alike; Pillow would warn from 89 megapixels on.
Image.MAX_IMAGE_PIXELS = None
# OpenCV's own.
_LARGEST_SIDE = 1 << 20
# Whatever Pillow finds odd about metadata does no harm to the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
# What libtiff prints of a damaged file, without its name, Pillow raises as well.
for _library in Path(Image.__file__).parents[1].glob("pillow.libs/libtiff*"):
    ctypes.CDLL(str(_library)).TIFFSetErrorHandler(None)

# EXIF's tag for how a camera was held, and its values with the sides swapped.
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
_IMAGE_WIDTH, _IMAGE_LENGTH = 256, 257
_FIRST_CHUNK = b"\0\0\0\rIHDR"
# Where a PNG may say how to turn it.
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORDS = (b"exif\0", b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")


class Header(NamedTuple):
    """The size of an image as it is stored, and its EXIF orientation, 1 (upright) to 8."""

    width: int
    height: int
    orientation: int

    @property
    def upright_size(self) -> Tuple[int, int]:
        """(width, height) of the image as a viewer shows it."""
        stored = (self.width, self.height)
        return stored[::-1] if self.orientation in _ON_ITS_SIDE else stored


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read the header of an image file; ``path`` names the file in messages.

    Raises
    ------
    UserError
        If it is no image, or larger than what is read at all.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # GluonCV sets it: the missing part of an image would be black
    try:
        header = _png_header(file) if file.read(len(PNG)) == PNG else _other_header(file)
    except UnidentifiedImageError:
        raise UserError(f"{path}: not readable as an image: it is of no known kind") from None
    except NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image ({reason(error, path)})") from None
    pixels, largest = header.width * header.height, _largest()
    if pixels > largest or max(header[:2]) > _LARGEST_SIDE:
        raise UserError(
            f"{path}: is {header.width}x{header.height}, {pixels / 1e6:.0f} megapixels: expected at most "
            f"{largest / 1e6:.0f} and sides of at most {_LARGEST_SIDE} pixels: scale it down or cut it into pieces "
            "(OPENCV_IO_MAX_IMAGE_PIXELS sets another limit)"
        )
    return header


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, that is left to be applied to an image; of a PNG once it is loaded.

    Pillow turns a TIFF itself when it loads it, and forgets its orientation then.
    """
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # what malformed EXIF raises differs by release; viewers show such an image as it is
        return 1
    return int(value) if isinstance(value, (int, float)) and value in range(1, 9) else 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels, (H, W) or (H, W, C), of an EXIF orientation, so that they are upright."""
    if orientation in _ON_ITS_SIDE:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def reason(error: Exception, path: Path) -> str:
    """Return what an error says, without the path."""
    return (getattr(error, "strerror", None) or str(error)).replace(f" {str(path)!r}", "")


def _largest() -> int:
    """Return the most pixels of an image, which the package sets for OpenCV, and a user may."""
    setting = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "")
    return int(setting) if setting.isdecimal() else 1 << 27


def _other_header(file: BinaryIO) -> Header:
    file.seek(0)
    with Image.open(file) as image:
        size = image.size
        if isinstance(image, TiffImageFile):  # of which newer releases of Pillow tell the size when turned
            size = int(image.tag_v2[_IMAGE_WIDTH]), int(image.tag_v2[_IMAGE_LENGTH])
        return Header(*size, orientation_of(image))


def _png_header(file: BinaryIO) -> Header:
    first, *notes = _chunks_but_pixels(file)
    if len(first) < 25:
        raise EOFError("it was cut off")
    width, height = (int.from_bytes(first[start : start + 4], "big") for start in (8, 12))
    return Header(width, height, _png_orientation(notes) if notes else 1)


def _chunks_but_pixels(file: BinaryIO) -> Iterator[bytes]:
    """Yield the first chunk of a PNG, and all that may say how to turn it: they may lie behind the pixels."""
    start = file.read(8)
    if start != _FIRST_CHUNK:
        raise ValueError("it does not begin with its size")
    yield start + file.read(13 + 4)
    start = file.read(8)
    while len(start) == 8 and start[4:] != b"IEND":
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind == b"eXIf" or kind in _TEXTS:
            chunk = start + file.read(length + 4)
            if kind == b"eXIf" or chunk[8:].startswith(_KEYWORDS):
                yield chunk
        else:
            file.seek(length + 4, os.SEEK_CUR)
        start = file.read(8)


def _png_orientation(chunks: List[bytes]) -> int:
    """Read the orientation by Pillow from a PNG of one pixel, since it decodes all pixels before it tells."""
    start = len(PNG) + len(_FIRST_CHUNK) + 13 + 4
    try:
        with Image.open(io.BytesIO(_ONE_PIXEL[:start] + b"".join(chunks) + _ONE_PIXEL[start:])) as image:
            return orientation_of(image)
    except NOT_AN_IMAGE:
        return 1


def _one_pixel() -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    return file.getvalue()


_ONE_PIXEL = _one_pixel()
