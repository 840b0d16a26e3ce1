"""Reads label files as train ids; every error names the file."""

from pathlib import Path

import cv2
import numpy as np

from gluon_madapt.data.image_files import decode
from gluon_madapt.data.label_pixels import MORE_BITS, ONE_CHANNEL, read_colours, read_numbers
from gluon_madapt.errors import UserError
from gluon_madapt.labels import KNOWN_IDS, LabelMap, decode_ids


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
        raw = read_colours(path, "colours of 8 bits, RGB or palette")
    elif labels.dataset in KNOWN_IDS:
        raw = read_label_ids(path)
    else:
        raw = read_numbers(path, ONE_CHANNEL + MORE_BITS, "ids of up to 16 bits, one channel or palette")
    try:
        return decode_ids(raw, labels)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def read_train_ids(path: Path, num_classes: int) -> np.ndarray:
    """Read proxy labels, (H, W) uint8 train ids, 255 where there is no proxy."""
    ids = read_label_ids(path)
    if ((ids >= num_classes) & (ids != 255)).any():
        highest = int(ids[(ids >= num_classes) & (ids != 255)].max())
        raise UserError(
            f"{path}: holds train id {highest}: expected 0 to {num_classes - 1}, or 255 where there is none"
        )
    return ids


def read_label_ids(path: Path) -> np.ndarray:
    """Read 8-bit ids as they are stored, (H, W) uint8; of a palette image the indices, not OpenCV's colours."""
    return read_numbers(path, ONE_CHANNEL, "8-bit ids, one channel or palette")


def _read_synthia(path: Path) -> np.ndarray:
    """Read SYNTHIA's 16-bit, three-channel PNG; the class id is in the red channel."""
    raw = decode(path, cv2.IMREAD_UNCHANGED, "a 16-bit label image of three channels")
    if raw.ndim != 3 or raw.shape[2] != 3 or raw.dtype != np.uint16:
        raise UserError(
            f"{path}: is a label image of shape {raw.shape} and type {raw.dtype}: "
            "expected SYNTHIA's 16-bit labels of three channels"
        )
    return raw[:, :, 2]
