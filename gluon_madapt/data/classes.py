"""The classes of an experiment, and what the label ids of its data sets mean."""

import colorsys
import difflib
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from gluon_madapt.config import Data, Experiment, LabelId
from gluon_madapt.errors import UserError
from gluon_madapt.labels import ClassSet, LabelMap, class_set, label_map

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

    A class of one's own that states no colour has that of its label ids, where these are colours, or of Cityscapes'
    class of that name, or one that no other has.
    """
    own = experiment.classes
    if isinstance(own, int):
        return class_set(own)
    published = class_set(19)
    known = {name: tuple(colour) for name, colour in zip(published.names, published.palette.tolist())}
    colours: List[Tuple[int, ...]] = []
    fresh = _fresh_colours()
    for one in own:
        stated = one.colour or next((label_id for label_id in one.ids if isinstance(label_id, str)), None)
        if stated:
            colours.append(tuple(bytes.fromhex(stated[1:])))
        else:
            colours.append(known.get(one.name.lower()) or next(fresh))
    return ClassSet(tuple(one.name for one in own), np.array(colours, dtype=np.uint8), {})


def label_map_of(experiment: Experiment, which: str) -> LabelMap:
    """Return what the label ids of the source, target or val images mean.

    Raises
    ------
    UserError
        If the experiment does not say so for every class, or not the same way for all.
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
    ids = {one: train_id for train_id, name in enumerate(classes.names) for one in stated.get(name, ())}
    others = () if data.dataset != "folder" or data.ignored_ids == "others" else data.ignored_ids
    in_colour = {isinstance(one, str) for one in (*ids, *others) if one != 255}
    if len(in_colour) > 1:
        raise UserError(f"{where}: some label ids are numbers, some colours: expected one or the other")
    if True in in_colour:
        others = [one for one in others if one != 255]
    ignored = tuple(_number(one) for one in others if one not in ids)
    everything = data.dataset != "folder" or data.ignored_ids == "others"
    return LabelMap(
        where,
        {_number(one): train_id for one, train_id in ids.items()},
        None if everything else ignored,
        True in in_colour,
        f": add what is missing to the ids of a class, or to {where}.ignored_ids",
    )


def _stated_ids(experiment: Experiment, data: Data, classes: ClassSet, where: str) -> Dict[str, Sequence[LabelId]]:
    """Return the label ids of each class in a data set; every id is of one class, and every source class has one."""
    stated = {one.name: one.ids for one in experiment.classes} if data.ids is None else data.ids
    for name in stated:
        if name not in classes.names:
            close = difflib.get_close_matches(name, classes.names, n=1)
            hint = f": did you mean {close[0]}?" if close else f": expected one of {', '.join(classes.names)}"
            raise UserError(f"{where}.ids: {name} is no class{hint}")
    owners: Dict[LabelId, str] = {}
    for name, ids in stated.items():
        for one in ids:
            if owners.setdefault(one, name) != name:
                raise UserError(f"{where}.ids: {one} is of {owners[one]} and of {name}: expected one class for each id")
    without = [name for name in classes.names if not stated.get(name)]
    if without and (where == "data.source" or len(without) == len(classes)):
        raise UserError(
            f"{where}: class {without[0]} has no label ids, and could never be learnt: give it ids in classes, "
            f"or in {where}.ids"
        )
    return stated


def _number(label_id: LabelId) -> int:
    """Return a label id as what is read from a file: a colour is 0xRRGGBB."""
    return int(label_id[1:], 16) if isinstance(label_id, str) else label_id


def _fresh_colours() -> Iterator[Tuple[int, ...]]:
    yield from _FIRST_COLOURS
    hue, dark = 0.0, False
    while True:
        hue, dark = (hue + _TURN) % 1, not dark
        red, green, blue = colorsys.hls_to_rgb(hue, 0.35 if dark else 0.65, 0.6)
        yield round(255 * red), round(255 * green), round(255 * blue)
