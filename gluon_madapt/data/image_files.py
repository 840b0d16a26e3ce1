"""Reading and writing images; every failure names the file."""

import io
import zlib
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from gluon_madapt.atomic import write_atomically
from gluon_madapt.errors import UserError

_PNG = b"\x89PNG\r\n\x1a\n"
# How complete JPEG files end, as nearly all do; others are looked at more closely.
_JPEG_END = b"\xff\xd9"
# EXIF's tag for how a camera was held, and its values for upright: OpenCV turns such an image when it reads it.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB.

    Raises
    ------
    UserError
        If the file is missing or holds no complete image.
    """
    return cv2.cvtColor(decode(path, cv2.IMREAD_COLOR, "an image"), cv2.COLOR_BGR2RGB)


def image_size(path: Path) -> Tuple[int, int]:
    """Return (width, height) as `read_image` would, from the file's header alone."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return image.size[::-1] if turned else image.size
    except NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image ({reason(error, path)})") from None


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 RGB as PNG, whole or not at all."""
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", pixels)[1]  # as small as Pillow's for label maps, in half the time
    with write_atomically(path) as file:
        file.write(encoded.tobytes())


def decode(path: Path, flags: int, expected: str) -> np.ndarray:
    """Decode an image by OpenCV's ``flags``; ``expected`` names it in messages."""
    data = read_whole(path, expected)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not readable as an image ({len(data)} bytes): expected {expected}")
    return image


def read_whole(path: Path, expected: str) -> bytes:
    """Read the bytes of an image that was neither cut off nor, of a PNG, altered: decoders do not look closely."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error, path)}): expected {expected}") from None
    if not data:
        raise UserError(f"{path}: not readable as an image: it has no bytes")
    if data.startswith(_PNG):
        data = data[: _end_of_chunks(path, data)]
    elif not data[-64:].rstrip(b"\0").endswith(_JPEG_END):
        _check_complete(path, data)
    return data


def _end_of_chunks(path: Path, data: bytes) -> int:
    """Return where a PNG ends; refuse one of which a chunk is missing, cut off, or not what its checksum is of."""
    place, kind, kinds = len(_PNG), b"", set()
    while kind != b"IEND":
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 8 + length
        if end + 4 > len(data):
            raise UserError(f"{path}: not readable as an image: it was cut off")
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise UserError(f"{path}: not readable as an image: it was altered, as a checksum in it says")
        place = end + 4
        kinds.add(kind)
    if b"IDAT" not in kinds:
        raise UserError(f"{path}: not readable as an image: there are no pixels in it")
    return place


def _check_complete(path: Path, data: bytes) -> None:
    """Refuse an image that was cut off: OpenCV decodes what is there of it, and says so on standard error alone."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except UnidentifiedImageError:
        raise UserError(f"{path}: not readable as an image: it is of no known kind") from None
    except NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image, or cut off ({reason(error, path)})") from None


def reason(error: Exception, path: Path) -> str:
    """Return what an error says, without the path."""
    return (getattr(error, "strerror", None) or str(error)).replace(f" {str(path)!r}", "")
