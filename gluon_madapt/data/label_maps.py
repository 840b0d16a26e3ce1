"""Finds the classes of an experiment, and the train id that each label id of its data sets becomes."""

import colorsys
import difflib
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from gluon_madapt.config import Data, Experiment, LabelId
from gluon_madapt.errors import UserError
from gluon_madapt.labels import IGNORE, ClassSet, LabelMap, class_set, label_map

# Of Okabe and Ito, which colour-blind readers can tell apart; in RGB.
_FIRST_COLOURS = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
)
# Turns of the colour circle from one colour to the next: the golden ratio comes near no colour before for long.
_TURN = 0.618034


def class_set_of(experiment: Experiment) -> ClassSet:
    """Return the classes of an experiment: the published 19 or 16, or its own.

    A class of one's own that states no colour takes the first of its label ids that is a colour, or else the colour of
    Cityscapes' class of the same name, or else one that no other class has.
    """
    own = experiment.classes
    if isinstance(own, int):
        return class_set(own)
    published = class_set(19)
    known = {name: tuple(colour) for name, colour in zip(published.names, published.palette.tolist())}
    colours: List[Tuple[int, ...]] = []
    fresh = _fresh_colours()
    for own_class in own:
        stated = own_class.colour or next((text for text in own_class.ids if isinstance(text, str)), None)
        if stated:
            colours.append(tuple(bytes.fromhex(stated[1:])))
        else:
            colours.append(known.get(own_class.name.lower()) or next(fresh))
    return ClassSet(tuple(own_class.name for own_class in own), np.array(colours, dtype=np.uint8), {})


def label_map_of(experiment: Experiment, which: str) -> LabelMap:
    """Return the label map of the source, target or val images: which train id each label id becomes.

    Raises
    ------
    UserError
        If a class has no label ids, an id has two classes, or some ids are numbers and some colours.
    """
    data: Data = getattr(experiment.data, which)
    classes = class_set_of(experiment)
    if isinstance(experiment.classes, int) and data.ids is None:
        if data.dataset == "folder":
            raise UserError(
                f"data.{which}.ids is missing: the label ids of the {len(classes)} classes in {data.labels}, "
                "as in {road: [7], sidewalk: [8]}"
            )
        return label_map(data.dataset, classes)
    where = f"data.{which}"
    stated = _stated_ids(experiment, data, classes, where)
    train_ids = {label_id: train_id for train_id, name in enumerate(classes.names) for label_id in stated.get(name, ())}
    ignores_others = data.dataset != "folder" or data.ignored_ids == "others"
    ignored = [] if ignores_others else [label_id for label_id in data.ignored_ids if label_id not in train_ids]
    kinds = {isinstance(label_id, str) for label_id in (*train_ids, *ignored) if label_id != IGNORE}
    if len(kinds) > 1:
        raise UserError(f"{where}: some label ids are numbers, some colours: expected one or the other")
    in_colour = True in kinds
    return LabelMap(
        where,
        {_number(label_id): train_id for label_id, train_id in train_ids.items()},
        None if ignores_others else tuple(_number(one) for one in ignored if not (in_colour and one == IGNORE)),
        in_colour,
        f": add what is missing to the ids of a class, or to {where}.ignored_ids",
    )


def _stated_ids(experiment: Experiment, data: Data, classes: ClassSet, where: str) -> Dict[str, Sequence[LabelId]]:
    """Return the label ids of each class in a data set; every id is of one class, and every source class has one."""
    stated: Dict[str, Sequence[LabelId]] = {}
    if data.ids is not None:
        stated.update(data.ids)
    elif not isinstance(experiment.classes, int):
        stated.update((own.name, own.ids) for own in experiment.classes)
    for name in stated:
        if name not in classes.names:
            close = difflib.get_close_matches(name, classes.names, n=1)
            hint = f": did you mean {close[0]}?" if close else f": expected one of {', '.join(classes.names)}"
            raise UserError(f"{where}.ids: {name} is no class{hint}")
    owners: Dict[LabelId, str] = {}
    for name, ids in stated.items():
        for label_id in ids:
            owner = owners.setdefault(label_id, name)
            if owner != name:
                raise UserError(f"{where}.ids: {label_id} is of {owner} and of {name}: expected one class for each id")
    without = [name for name in classes.names if not stated.get(name)]
    if without and (where == "data.source" or len(without) == len(classes)):
        raise UserError(
            f"{where}: class {without[0]} has no label ids, and could never be learnt: give it ids in classes, "
            f"or in {where}.ids"
        )
    return stated


def _number(label_id: LabelId) -> int:
    """Return a label id as the number that `read_label` reads from a file; a colour is 0xRRGGBB."""
    return int(label_id[1:], 16) if isinstance(label_id, str) else label_id


def _fresh_colours() -> Iterator[Tuple[int, ...]]:
    yield from _FIRST_COLOURS
    hue, dark = 0.0, False
    while True:
        hue, dark = (hue + _TURN) % 1, not dark
        red, green, blue = colorsys.hls_to_rgb(hue, 0.35 if dark else 0.65, 0.6)
        yield round(255 * red), round(255 * green), round(255 * blue)
