"""Reads and writes images; every error names the file."""

import io
import re
import zlib
from pathlib import Path
from typing import Iterator, Tuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from gluon_madapt.data.image_headers import NOT_AN_IMAGE, PNG, Header, orientation_of, read_header, reason, upright
from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically

# The chunks of a PNG that hold pixels. Of others, libpng may have to say something, on the screen and without a name.
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
# What libjpeg warns of that leaves the pixels what they are: metadata, a scan's header, zeros behind the last pixel.
_ODD_METADATA = ("unknown JFIF revision", "bad ICC marker")
_ODD_HEADER = "Invalid SOS parameters"
_PADDED = "extraneous bytes before marker 0xd9"
# In front of the frame of a JPEG: segments of metadata, and those of them that hold JFIF's note and the colour profile.
_SEGMENT, _NOTES = re.compile(rb"\xff[\xe0-\xef\xfe]"), (0xE0, 0xE2)


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB, upright as a viewer shows it.

    Raises
    ------
    UserError
        If the file is missing, holds no complete image, was altered as far as its kind tells, or is too large.
    """
    data, header = _read(path, "an image")
    if data.startswith(PNG):
        pixels = cv2.cvtColor(_decode_png(path, data, cv2.IMREAD_COLOR, "an image"), cv2.COLOR_BGR2RGB)
        return upright(pixels, header.orientation)
    if data.startswith(_JPEG):
        return upright(_decode_jpeg(path, data), header.orientation)
    return _decode_other(path, data)


def image_size(path: Path) -> Tuple[int, int]:
    """Return (width, height) as `read_image` would, from the file's header alone."""
    try:
        with path.open("rb") as file:
            return read_header(file, path).upright_size
    except OSError as error:
        raise UserError(f"{path}: not readable as an image ({reason(error, path)})") from None


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 RGB as PNG, whole or not at all."""
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", pixels)[1]  # as small as Pillow's for label maps, in half the time
    with write_atomically(path) as file:
        file.write(encoded.tobytes())


def decode(path: Path, flags: int, expected: str) -> np.ndarray:
    """Decode a PNG by OpenCV's ``flags``, upright; ``expected`` names it in messages."""
    data, header = _read(path, expected)
    if not data.startswith(PNG):
        raise UserError(f"{path}: is no PNG: expected {expected}")
    return upright(_decode_png(path, data, flags, expected), header.orientation)


def read_whole(path: Path, expected: str) -> bytes:
    """Read the bytes of an image that is not too large and, if a PNG, neither cut off nor altered."""
    return _read(path, expected)[0]


def _read(path: Path, expected: str) -> Tuple[bytes, Header]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error, path)}): expected {expected}") from None
    if not data:
        raise UserError(f"{path}: not readable as an image: it has no bytes")
    if data.startswith(PNG):
        data = _checked_png(path, data)
    return data, read_header(io.BytesIO(data), path)


def _checked_png(path: Path, data: bytes) -> bytes:
    """Return a PNG up to its end; refuse one of which a chunk is missing, cut off, or not what its checksum is of."""
    kinds, end = set(), 0
    for kind, start, end in _png_chunks(path, data):
        if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UserError(f"{path}: not readable as an image: it was altered, as a checksum in it says")
        kinds.add(kind)
    if b"IDAT" not in kinds:
        raise UserError(f"{path}: not readable as an image: there are no pixels in it")
    return data[:end]


def _png_chunks(path: Path, data: bytes) -> Iterator[Tuple[bytes, int, int]]:
    """Yield the kind of each chunk of a PNG, and where it starts and ends."""
    kind, end = b"", len(PNG)
    while kind != b"IEND":
        start, kind = end, data[end + 4 : end + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            raise UserError(f"{path}: not readable as an image: it was cut off")
        yield kind, start, end


def _decode_png(path: Path, data: bytes, flags: int, expected: str) -> np.ndarray:
    chunks = list(_png_chunks(path, data))
    if any(kind not in _PIXELS for kind, _, _ in chunks):
        data = PNG + b"".join(data[start:end] for kind, start, end in chunks if kind in _PIXELS)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not readable as an image ({len(data)} bytes): expected {expected}")
    return image


def _decode_jpeg(path: Path, data: bytes) -> np.ndarray:
    """Decode a JPEG as libjpeg does for OpenCV and Pillow; a warning of libjpeg counts as damage."""
    try:
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        damage = str(error)
    end = data.rfind(_JPEG_END)
    if damage.endswith(_PADDED) and data[:end].endswith(b"\0"):
        return _decode_jpeg(path, data[:end].rstrip(b"\0") + _JPEG_END)
    if any(warning in damage for warning in _ODD_METADATA) and _without_metadata(data) != data:
        return _decode_jpeg(path, _without_metadata(data))
    if damage.startswith(_ODD_HEADER):
        return simplejpeg.decode_jpeg(data, "RGB", strict=False)
    raise UserError(f"{path}: not readable as an image: it was cut off or altered ({damage})")


def _without_metadata(data: bytes) -> bytes:
    """Return a JPEG without JFIF's note and the colour profile, which no decoder applies."""
    kept, place = [data[:2]], 2
    while _SEGMENT.match(data, place):
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] not in _NOTES:
            kept.append(data[place:end])
        place = end
    return b"".join(kept) + data[place:]


def _decode_other(path: Path, data: bytes) -> np.ndarray:
    """Decode an image of another kind by Pillow, which notices when it was cut off."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode in ("I", "F"):
                raise UserError(f"{path}: is an image of 32-bit numbers: expected 8 or 16 bits")
            if image.mode.startswith("I;16"):
                pixels = np.dstack([(np.asarray(image) >> 8).astype(np.uint8)] * 3)
            else:
                pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
            return upright(pixels, orientation_of(image))
    except NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image, or cut off ({reason(error, path)})") from None
