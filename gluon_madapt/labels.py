"""Train ids, names and colours of the classes, and the label-id maps of GTA5, SYNTHIA and Cityscapes.

A *label id* is what a dataset stores in its label files; a *train id* (0 to L-1, or 255 for "ignored") is what the
networks predict.  GTA5 uses the label ids of Cityscapes; SYNTHIA has its own.
"""

from typing import Dict, NamedTuple, Sequence, Tuple

import numpy as np

IGNORE = 255

# name, Cityscapes label id, SYNTHIA label id, colour (RGB), in the order of the 19 Cityscapes train ids.
_CLASSES = (
    ("road", 7, 3, (128, 64, 128)),
    ("sidewalk", 8, 4, (244, 35, 232)),
    ("building", 11, 2, (70, 70, 70)),
    ("wall", 12, 21, (102, 102, 156)),
    ("fence", 13, 5, (190, 153, 153)),
    ("pole", 17, 7, (153, 153, 153)),
    ("traffic light", 19, 15, (250, 170, 30)),
    ("traffic sign", 20, 9, (220, 220, 0)),
    ("vegetation", 21, 6, (107, 142, 35)),
    ("terrain", 22, 16, (152, 251, 152)),
    ("sky", 23, 1, (70, 130, 180)),
    ("person", 24, 10, (220, 20, 60)),
    ("rider", 25, 17, (255, 0, 0)),
    ("car", 26, 8, (0, 0, 142)),
    ("truck", 27, 18, (0, 0, 70)),
    ("bus", 28, 19, (0, 60, 100)),
    ("train", 31, 20, (0, 80, 100)),
    ("motorcycle", 32, 12, (0, 0, 230)),
    ("bicycle", 33, 11, (119, 11, 32)),
)
_NOT_IN_SYNTHIA_PROTOCOL = ("terrain", "truck", "train")
_NOT_IN_13 = ("wall", "fence", "pole")

# Every raw value that a dataset's label files may hold; anything else is a broken file.
KNOWN_IDS: Dict[str, Tuple[int, ...]] = {
    "cityscapes": tuple(range(34)) + (255,),  # label id -1 is stored as 255
    "gta5": tuple(range(35)),
    "synthia": tuple(range(23)),
}


class ClassSet(NamedTuple):
    """The classes of one protocol, in train-id order.

    ``names`` are the class names, ``palette`` is (L, 3) uint8 RGB, and ``label_ids`` maps a dataset's name to the label
    id of each class there.
    """

    names: Tuple[str, ...]
    palette: np.ndarray
    label_ids: Dict[str, Tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def subset_13(self) -> Tuple[int, ...]:
        """Train ids behind mIoU* of the SYNTHIA protocol; empty for any other class set."""
        if self.names != class_set(16).names:
            return ()
        return tuple(i for i, name in enumerate(self.names) if name not in _NOT_IN_13)


def class_set(num_classes: int) -> ClassSet:
    """Return the 19 classes of GTA5 to Cityscapes or the 16 of SYNTHIA to Cityscapes (Table 2's order).

    Raises
    ------
    ValueError
        If ``num_classes`` is neither 19 nor 16.
    """
    if num_classes == 19:
        rows = _CLASSES
    elif num_classes == 16:
        rows = tuple(row for row in _CLASSES if row[0] not in _NOT_IN_SYNTHIA_PROTOCOL)
    else:
        raise ValueError(f"there is no class set of {num_classes} classes: expected 19 (GTA5) or 16 (SYNTHIA)")
    cityscapes_ids = tuple(row[1] for row in rows)
    return ClassSet(
        names=tuple(row[0] for row in rows),
        palette=np.array([row[3] for row in rows], dtype=np.uint8),
        label_ids={"cityscapes": cityscapes_ids, "gta5": cityscapes_ids, "synthia": tuple(row[2] for row in rows)},
    )


def decode_ids(raw: np.ndarray, dataset: str, classes: ClassSet) -> np.ndarray:
    """Turn a dataset's label ids into train ids.

    Parameters
    ----------
    raw : np.ndarray
        Label ids, (H, W), unsigned integers as read from the file.
    dataset : str
        "gta5", "synthia" or "cityscapes".

    Returns
    -------
    np.ndarray
        (H, W) uint8 train ids, 255 where a pixel belongs to none of the classes.

    Raises
    ------
    ValueError
        If a value is none of the dataset's known ids.
    """
    if raw.size and int(raw.max()) > 255:
        raise ValueError(_unknown_ids(np.unique(raw[raw > 255]), dataset))
    known, table = _tables(dataset, classes)
    raw = raw.astype(np.uint8, copy=False)
    if not known[raw].all():
        raise ValueError(_unknown_ids(np.unique(raw[~known[raw]]), dataset))
    return table[raw]


def encode_ids(train_ids: np.ndarray, dataset: str, classes: ClassSet, ignored: int = 0) -> np.ndarray:
    """Inverse of `decode_ids`: (H, W) uint8 label ids, with ``ignored`` written where the train id is 255."""
    table = np.full(256, ignored, dtype=np.uint8)
    table[: len(classes)] = classes.label_ids[dataset]
    return table[train_ids]


def colourize(train_ids: np.ndarray, classes: ClassSet) -> np.ndarray:
    """Paint train ids, (H, W) -> (H, W, 3) uint8 RGB; ignored pixels are white, as in the paper's Figure 2."""
    palette = np.full((256, 3), 255, dtype=np.uint8)
    palette[: len(classes)] = classes.palette
    return palette[train_ids]


def _tables(dataset: str, classes: ClassSet) -> Tuple[np.ndarray, np.ndarray]:
    known = np.zeros(256, dtype=bool)
    known[list(KNOWN_IDS[dataset])] = True
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[list(classes.label_ids[dataset])] = np.arange(len(classes))
    return known, table


def _unknown_ids(values: Sequence[int], dataset: str) -> str:
    listed = ", ".join(str(int(v)) for v in values[:5]) + (", ..." if len(values) > 5 else "")
    known = KNOWN_IDS[dataset]
    extra = " and 255" if known[-1] == 255 else ""
    last = known[-2] if extra else known[-1]
    return f"holds label ids that {dataset} does not have ({listed}): expected {known[0]} to {last}{extra}"
