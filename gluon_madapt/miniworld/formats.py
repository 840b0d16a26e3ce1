"""Stores an image and its labels on disk as GTA5, SYNTHIA and Cityscapes do."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gluon_madapt.labels import IGNORE, class_set, encode_ids
from gluon_madapt.miniworld.geometry import LABELS, RAW_OFFSET

# Only these have instance numbers in the green channel of SYNTHIA's labels; the others have 0.
_COUNTED = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
_CITIES = {"train": ("arlenburg", "brueckstadt", "calvenau"), "val": ("dornfelde", "eschenhafen")}


def write_gta5(root: Path, index: int, image: np.ndarray, label: np.ndarray) -> None:
    """Write ``images/00001.png`` and, with Cityscapes' ids and colours in a palette, ``labels/00001.png``."""
    name = f"{index + 1:05d}.png"
    _write(root / "images" / name, image[..., ::-1])
    indexed = Image.fromarray(_label_ids(label, "gta5"))
    indexed.putpalette(_palette().ravel().tolist())
    (root / "labels").mkdir(parents=True, exist_ok=True)
    indexed.save(root / "labels" / name)


def write_synthia(root: Path, index: int, image: np.ndarray, label: np.ndarray) -> None:
    """Write ``RGB/0000001.png`` and ``GT/LABELS/0000001.png``: 16 bits, class in red, instance in green."""
    name = f"{index + 1:07d}.png"
    _write(root / "RGB" / name, image[..., ::-1])
    channels = np.zeros(label.shape + (3,), dtype=np.uint16)
    channels[..., 2] = _label_ids(label, "synthia")
    channels[..., 1] = _instances(label)
    _write(root / "GT" / "LABELS" / name, channels)


def write_cityscapes(root: Path, split: str, index: int, image: np.ndarray, label: np.ndarray) -> None:
    """Write ``CITY_000000_000019_leftImg8bit.png`` and ``CITY_000000_000019_gtFine_labelIds.png``."""
    city = _CITIES[split][index % len(_CITIES[split])]
    name = f"{city}_{index:06d}_000019"
    _write(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image[..., ::-1])
    ids = _label_ids(_framed(label), "cityscapes")
    _write(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", ids)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(".png", pixels)
    if not encoded:
        raise ValueError(f"OpenCV cannot encode {path}")
    # Not cv2.imwrite, which only returns False when the disk is full.
    path.write_bytes(data.tobytes())


def _label_ids(label: np.ndarray, dataset: str) -> np.ndarray:
    """Label ids (H, W) uint8; what is none of the 19 classes is void (0) in SYNTHIA."""
    raw = label >= RAW_OFFSET
    ids = encode_ids(np.where(raw, IGNORE, label).astype(np.uint8), dataset, class_set(19))
    if dataset != "synthia":
        ids[raw] = label[raw] - RAW_OFFSET
    return ids


def _palette() -> np.ndarray:
    classes = class_set(19)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[list(classes.label_ids["gta5"])] = classes.palette
    return palette


def _instances(label: np.ndarray) -> np.ndarray:
    counted = np.isin(label, [LABELS[name] for name in _COUNTED])
    return cv2.connectedComponents(counted.astype(np.uint8))[1].astype(np.uint16)


def _framed(label: np.ndarray) -> np.ndarray:
    """Mark the edge pixels that Cityscapes lost when its images were rectified."""
    framed = label.copy()
    framed[: len(label) // 4, 1] = LABELS["rectification border"]
    framed[[0, -1]] = LABELS["out of roi"]
    framed[:, [0, -1]] = LABELS["out of roi"]
    return framed
