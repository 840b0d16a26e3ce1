"""Reading and writing images and labels; every failure names the file."""

import os
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
from PIL import Image

from gluon_madapt.errors import UserError
from gluon_madapt.labels import ClassSet, decode_ids


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB.

    Raises
    ------
    UserError
        If the file is missing or holds no complete image.
    """
    return cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR, "an image"), cv2.COLOR_BGR2RGB)


def read_label(path: Path, dataset: str, classes: ClassSet) -> np.ndarray:
    """Read a label file of ``dataset`` as (H, W) uint8 train ids, 255 where ignored.

    Raises
    ------
    UserError
        If the file is missing or broken, is of another format, or holds ids that the dataset does not have.
    """
    raw = _read_synthia(path) if dataset == "synthia" else _read_indices(path)
    try:
        return decode_ids(raw, dataset, classes)
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
    """Return (width, height) from the file's header alone."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not readable as an image ({_reason(error, path)})") from None


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 RGB as PNG: first beside ``path``, then renamed, so never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        Image.fromarray(image).save(file, format="PNG")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _decode(path: Path, flags: int, expected: str) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error, path)}): expected {expected}") from None
    # OpenCV decodes what is there of a file that was cut off, and says so on standard error alone.
    if data.startswith(b"\x89PNG") and b"IEND" not in data[-16:]:
        raise UserError(f"{path}: is cut off (a PNG without its end): copy or download it again")
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-64:]:
        raise UserError(f"{path}: is cut off (a JPEG without its end): copy or download it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not readable as an image ({len(data)} bytes): expected {expected}")
    return image


def _read_indices(path: Path) -> np.ndarray:
    """Read a one-channel or palette PNG; of the latter the index, where OpenCV would return the palette's colour."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise UserError(
                    f"{path}: is a label image of mode {image.mode}: expected 8-bit ids, one channel or palette"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
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
