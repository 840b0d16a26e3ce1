"""Reading label files: the ids that are stored, as train ids; every failure names the file."""

import io
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
from PIL import Image

from gluon_madapt.data.image_files import NOT_AN_IMAGE, decode, read_whole, reason
from gluon_madapt.data.image_headers import orientation_of, upright
from gluon_madapt.errors import UserError
from gluon_madapt.labels import KNOWN_IDS, LabelMap, decode_ids

# Kinds of files, by Pillow's names, that do not keep every value as it was.
_LOSSY = ("JPEG", "JPEG2000", "MPO", "WEBP")
_INDEXED = ("P", "L")


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


def _read_indices(path: Path) -> np.ndarray:
    """Read a one-channel or palette image; of the latter the index, where OpenCV would return the palette's colour."""
    return _read_lossless(path, _INDEXED, "8-bit ids, one channel or palette")


def _read_colours(path: Path) -> np.ndarray:
    """Read a label image of colours as (H, W) int32, 0xRRGGBB."""
    red, green, blue = np.moveaxis(_read_lossless(path, ("RGB",), "colours, RGB without transparency"), -1, 0)
    return (red.astype(np.int32) << 16) | (green.astype(np.int32) << 8) | blue


def _read_lossless(path: Path, modes: Tuple[str, ...], expected: str) -> np.ndarray:
    data = read_whole(path, "a label image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in modes:
                raise UserError(f"{path}: is a label image of mode {image.mode}: expected {expected}")
            if image.format in _LOSSY:
                raise UserError(f"{path}: is a label image of kind {image.format}, which alters ids: expected PNG")
            image.load()
            return upright(np.asarray(image), orientation_of(image))
    except NOT_AN_IMAGE as error:
        raise UserError(f"{path}: not readable as a label image ({reason(error, path)})") from None


def _read_synthia(path: Path) -> np.ndarray:
    """Read SYNTHIA's 16-bit, three-channel PNG; the class id is in the red channel."""
    raw = decode(path, cv2.IMREAD_UNCHANGED, "a 16-bit label image of three channels")
    if raw.ndim != 3 or raw.shape[2] != 3 or raw.dtype != np.uint16:
        raise UserError(
            f"{path}: is a label image of shape {raw.shape} and type {raw.dtype}: "
            "expected SYNTHIA's 16-bit labels of three channels"
        )
    return raw[:, :, 2]
