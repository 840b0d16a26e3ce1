"""Prepares an image and its label for a network: resizes, scales, pads, crops and mirrors them together (P §3.2)."""

from typing import Optional, Tuple

import cv2
import numpy as np

from gluon_madapt.config import Input
from gluon_madapt.labels import IGNORE
from gluon_madapt.system.compiled import compiled

# Of ImageNet, RGB, as the released network expects them.
MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)
STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)

# What each of a channel's 256 values becomes, (3, 256).
_NORMALIZED = ((np.arange(256, dtype=np.float32) / 255)[None] - MEAN[:, None]) / STD[:, None]


def transform(
    image: np.ndarray, label: Optional[np.ndarray], settings: Input, rng: np.random.Generator
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Resize, scale, crop and mirror an image and its label alike.

    Parameters
    ----------
    image : np.ndarray
        (H, W, 3) uint8 RGB; resized bilinearly.
    label : np.ndarray, optional
        (H, W) uint8 train ids; the nearest is taken, so no new value appears.
    settings : Input
        What to do.
    rng : np.random.Generator
        The source of this sample's randomness.

    Returns
    -------
    tuple
        Image (h, w, 3) and label (h, w), or None, of the crop's size where there is a crop.
    """
    factor = rng.uniform(*settings.scale) if settings.scale[0] < settings.scale[1] else settings.scale[0]
    width, height = base_size(image.shape[1], image.shape[0], settings.size, settings.short_side)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = resize_image(image, size)
    label = None if label is None else resize_label(label, size)
    if settings.crop is not None:
        image, label = _crop(image, label, settings.crop, rng)
    if settings.mirror and rng.random() < 0.5:
        image = image[:, ::-1]
        label = None if label is None else label[:, ::-1]
    return image, label


def base_size(
    width: int, height: int, size: Optional[Tuple[int, int]] = None, short_side: Optional[int] = None
) -> Tuple[int, int]:
    """Return the (width, height) to resize an image of ``width`` x ``height`` to, before any random scale."""
    if size is not None:
        return size
    if short_side is None:
        return width, height
    factor = short_side / min(width, height)
    return round(width * factor), round(height * factor)


def resize_image(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Resize (H, W, 3) uint8 bilinearly to ``size``, (width, height)."""
    if (image.shape[1], image.shape[0]) == tuple(size):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def resize_label(label: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Resize (H, W) uint8 ids to ``size``, (width, height), each pixel taking the nearest one."""
    if (label.shape[1], label.shape[0]) == tuple(size):
        return label
    # EXACT: OpenCV's plain nearest takes the upper left neighbour, half a pixel off its bilinear grid.
    return cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)


def normalize(image: np.ndarray) -> np.ndarray:
    """Turn (H, W, 3) uint8 RGB to the network's input, (3, H, W) float32."""
    out = np.empty((3, *image.shape[:2]), dtype=np.float32)
    _look_up(np.ascontiguousarray(image), _NORMALIZED, out)
    return out


@compiled
def _look_up(image, table, out):
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for c in range(3):
                out[c, y, x] = table[c, image[y, x, c]]


def _crop(
    image: np.ndarray, label: Optional[np.ndarray], crop: Tuple[int, int], rng: np.random.Generator
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Cut a random window, after padding right and bottom what is smaller: black, and ignored (released code)."""
    width, height = crop
    down, right = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    if down or right:
        image = np.pad(image, ((0, down), (0, right), (0, 0)))
        label = None if label is None else np.pad(label, ((0, down), (0, right)), constant_values=IGNORE)
    top = rng.integers(image.shape[0] - height + 1)
    left = rng.integers(image.shape[1] - width + 1)
    window = (slice(top, top + height), slice(left, left + width))
    return image[window], None if label is None else label[window]
