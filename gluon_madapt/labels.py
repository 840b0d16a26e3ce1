"""Lists the classes, with their names, colours and label ids in GTA5, SYNTHIA and Cityscapes; decodes label ids.

A *label id* is what a dataset stores in its label files; a *train id* (0 to L-1, or 255 for "ignored") is what the
networks predict.  GTA5 uses the label ids of Cityscapes; SYNTHIA has its own.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

IGNORE = 255
# Ids, or ranges of them, that a message names.
_LISTED = 8

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


class LabelMap(NamedTuple):
    """The train id that each label id in the files of a dataset becomes.

    Attributes
    ----------
    dataset : str
        Its name, for messages.
    train_ids : dict of int to int
        The train id of each label id that belongs to a class.
    ignored : tuple of int, optional
        Other label ids that may occur and become 255; None for all others.
    in_colour : bool
        Whether a label id is a colour, 0xRRGGBB.
    mend : str
        How to mend a file or config with other ids, for messages.
    """

    dataset: str
    train_ids: Dict[int, int]
    ignored: Optional[Tuple[int, ...]]
    in_colour: bool = False
    mend: str = ""


def label_map(dataset: str, classes: ClassSet) -> LabelMap:
    """Return the label map of "gta5", "synthia" or "cityscapes"."""
    train_ids = {label_id: train_id for train_id, label_id in enumerate(classes.label_ids[dataset])}
    return LabelMap(dataset, train_ids, tuple(label_id for label_id in KNOWN_IDS[dataset] if label_id not in train_ids))


def classes_named(names: Sequence[str], palette: Sequence[Sequence[int]]) -> ClassSet:
    """Return classes of such names and colours, with the label ids of data sets if they are those of a protocol."""
    published = [known.label_ids for known in map(class_set, (19, 16)) if known.names == tuple(names)]
    return ClassSet(tuple(names), np.array(palette, dtype=np.uint8), *(published or [{}]))


def class_set(num_classes: int) -> ClassSet:
    """Return the 19 classes of GTA5 to Cityscapes or the 16 of SYNTHIA to Cityscapes (Table 2's order).

    Raises
    ------
    ValueError
        If ``num_classes`` is neither 19 nor 16.
    """
    if num_classes not in (16, 19):
        raise ValueError(f"there is no class set of {num_classes} classes: expected 19 (GTA5) or 16 (SYNTHIA)")
    rows = [row for row in _CLASSES if num_classes == 19 or row[0] not in _NOT_IN_SYNTHIA_PROTOCOL]
    cityscapes_ids = tuple(row[1] for row in rows)
    return ClassSet(
        names=tuple(row[0] for row in rows),
        palette=np.array([row[3] for row in rows], dtype=np.uint8),
        label_ids={"cityscapes": cityscapes_ids, "gta5": cityscapes_ids, "synthia": tuple(row[2] for row in rows)},
    )


def decode_ids(raw: np.ndarray, labels: LabelMap) -> np.ndarray:
    """Turn label ids into train ids.

    Parameters
    ----------
    raw : np.ndarray
        Label ids, (H, W), unsigned integers as read from the file.
    labels : LabelMap
        What they mean.

    Returns
    -------
    np.ndarray
        (H, W) uint8 train ids, 255 where a pixel belongs to none of the classes.

    Raises
    ------
    ValueError
        If a value is not in the map.
    """
    ids = np.array(sorted({*labels.train_ids, *(labels.ignored or ())}))
    by_table = raw.dtype == np.uint8  # a table of all values: much faster
    values = np.arange(256) if by_table else raw
    places = np.searchsorted(ids, values).clip(max=len(ids) - 1)
    known = ids[places] == values
    train_ids = np.array([labels.train_ids.get(label_id, IGNORE) for label_id in ids.tolist()], dtype=np.uint8)
    decoded = np.where(known, train_ids[places], np.uint8(IGNORE))
    if by_table:
        known, decoded = known[raw], decoded[raw]
    if labels.ignored is not None and not known.all():
        raise ValueError(_unknown_ids(np.unique(raw[~known]).tolist(), labels))
    return decoded


def encode_ids(train_ids: np.ndarray, dataset: str, classes: ClassSet, ignored: int = 0) -> np.ndarray:
    """Inverse of `decode_ids` for a published dataset: (H, W) uint8 label ids, ``ignored`` where a train id is 255."""
    table = np.full(256, ignored, dtype=np.uint8)
    table[: len(classes)] = classes.label_ids[dataset]
    return table[train_ids]


def colourize(train_ids: np.ndarray, classes: ClassSet) -> np.ndarray:
    """Paint train ids, (H, W) -> (H, W, 3) uint8 RGB; ignored pixels are white, as in the paper's Figure 2."""
    palette = np.full((256, 3), 255, dtype=np.uint8)
    palette[: len(classes)] = classes.palette
    return palette[train_ids]


def _unknown_ids(unknown: List[int], labels: LabelMap) -> str:
    known = sorted({*labels.train_ids, *(labels.ignored or ())})
    return (
        f"holds label ids that {labels.dataset} does not have ({_listed(unknown, labels)}): "
        f"expected {_listed(known, labels)}{labels.mend}"
    )


def _listed(ids: Sequence[int], labels: LabelMap) -> str:
    """Return ids as text: those in a row as one range, and only the first few of many."""
    if labels.in_colour:
        parts = [f"#{label_id:06x}" for label_id in ids]
    else:
        starts = [label_id for label_id in ids if label_id - 1 not in ids]
        ends = [label_id for label_id in ids if label_id + 1 not in ids]
        parts = [f"{first} to {last}" if last > first else str(first) for first, last in zip(starts, ends)]
    return ", ".join(parts[:_LISTED]) + (", ..." if len(parts) > _LISTED else "")
