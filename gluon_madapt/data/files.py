"""Reading and writing images and labels; every failure names the file."""

import io
import zlib
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from gluon_madapt.atomic import write_atomically
from gluon_madapt.errors import UserError
from gluon_madapt.labels import KNOWN_IDS, LabelMap, decode_ids

_PNG = b"\x89PNG\r\n\x1a\n"
# How complete JPEG files end, as nearly all do; others are looked at more closely.
_JPEG_END = b"\xff\xd9"
# EXIF's tag for how a camera was held, and its values for upright: OpenCV turns such an image when it reads it.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# Kinds of files, by Pillow's names, that do not keep every value as it was.
_LOSSY = ("JPEG", "JPEG2000", "MPO", "WEBP")
_INDEXED = ("P", "L")
_NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB.

    Raises
    ------
    UserError
        If the file is missing or holds no complete image.
    """
    return cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR, "an image"), cv2.COLOR_BGR2RGB)


def read_label(path: Path, labels: LabelMap) -> np.ndarray:
    """Read a label file as (H, W) uint8 train ids, 255 where ignored.

    Raises
    ------
    UserError
        If the file is missing or broken, is of another format, or holds ids that the dataset does not have.
    """
    if labels.dataset == "synthia":
        raw = _read_synthia(path)
    elif labels.in_colour:
        raw = _read_colours(path)
    elif labels.dataset in KNOWN_IDS:
        raw = _read_indices(path)
    else:
        raw = _read_lossless(path, _INDEXED + ("I;16", "I"), "ids of 8 or 16 bits, one channel or palette")
    try:
        return decode_ids(raw, labels)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def read_train_ids(path: Path, num_classes: int) -> np.ndarray:
    """Read proxy labels, (H, W) uint8 train ids, 255 where there is no proxy."""
    ids = _read_indices(path)
    if ((ids >= num_classes) & (ids != 255)).any():
        found = int(ids[(ids >= num_classes) & (ids != 255)].max())
        raise UserError(f"{path}: holds train id {found}: expected 0 to {num_classes - 1}, or 255 where there is none")
    return ids


def image_size(path: Path) -> Tuple[int, int]:
    """Return (width, height) as `read_image` would, from the file's header alone."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return image.size[::-1] if turned else image.size
    except _NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image ({_reason(error, path)})") from None


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 RGB as PNG, whole or not at all."""
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", pixels)[1]  # as small as Pillow's for label maps, in half the time
    with write_atomically(path) as file:
        file.write(encoded.tobytes())


def _decode(path: Path, flags: int, expected: str) -> np.ndarray:
    data = _read_whole(path, expected)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not readable as an image ({len(data)} bytes): expected {expected}")
    return image


def _read_whole(path: Path, expected: str) -> bytes:
    """Read the bytes of an image that was neither cut off nor, of a PNG, altered: decoders do not look closely."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error, path)}): expected {expected}") from None
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
    except _NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as an image, or cut off ({_reason(error, path)})") from None


def _read_indices(path: Path) -> np.ndarray:
    """Read a one-channel or palette image; of the latter the index, where OpenCV would return the palette's colour."""
    return _read_lossless(path, _INDEXED, "8-bit ids, one channel or palette")


def _read_colours(path: Path) -> np.ndarray:
    """Read a label image of colours as (H, W) int32, 0xRRGGBB."""
    red, green, blue = np.moveaxis(_read_lossless(path, ("RGB",), "colours, RGB without transparency"), -1, 0)
    return (red.astype(np.int32) << 16) | (green.astype(np.int32) << 8) | blue


def _read_lossless(path: Path, modes: Tuple[str, ...], expected: str) -> np.ndarray:
    data = _read_whole(path, "a label image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in modes:
                raise UserError(f"{path}: is a label image of mode {image.mode}: expected {expected}")
            if image.format in _LOSSY:
                raise UserError(f"{path}: is a label image of kind {image.format}, which alters ids: expected PNG")
            return np.asarray(image)
    except _NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as a label image ({_reason(error, path)})") from None


def _read_synthia(path: Path) -> np.ndarray:
    """Read SYNTHIA's 16-bit, three-channel PNG; the class id is in the red channel."""
    raw = _decode(path, cv2.IMREAD_UNCHANGED, "a 16-bit label image of three channels")
    if raw.ndim != 3 or raw.shape[2] != 3 or raw.dtype != np.uint16:
        raise UserError(
            f"{path}: is a label image of shape {raw.shape} and type {raw.dtype}: "
            "expected SYNTHIA's 16-bit labels of three channels"
        )
    return raw[:, :, 2]


def _reason(error: Exception, path: Path) -> str:
    return (getattr(error, "strerror", None) or str(error)).replace(f" {str(path)!r}", "")
