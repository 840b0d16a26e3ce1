"""Paints maps, and strips of them, that are read without colour: by outlines, numbers and hatching."""

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image, ImageDraw, ImageFont

from gluon_madapt.labels import IGNORE, ClassSet, colourize
from gluon_madapt.report.charts import figure_of, png_of, wrapped

_WIDTH = 640
_FONT = 24
# A number is written where a disc of this radius, in pixels, fits into a region.
_ROOM = 20
_MOST_NUMBERS = 40
_HATCH_EVERY, _HATCH_WIDTH = 10, 2
_HATCH = np.array((70, 70, 70), dtype=np.uint8)
_EDGE = np.array((20, 20, 20), dtype=np.uint8)
_INCHES_PER_COLUMN = 2.6
_INCHES_PER_LEGEND_LINE = 0.2
_LEGEND_COLUMNS = 7
_SMALL_PRINT = 7


def shown_size(height: int, width: int) -> Tuple[int, int]:
    """Return the (width, height) that maps of an image are painted at."""
    factor = _WIDTH / width
    if factor > 1:
        factor = max(1, round(factor))
    return max(1, round(width * factor)), max(1, round(height * factor))


def paint_image(image: np.ndarray) -> np.ndarray:
    """Return an image, (H, W, 3) uint8 RGB, at the size of the maps beside it, or smaller."""
    size = shown_size(*image.shape[:2])
    return image if size[0] >= image.shape[1] else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def paint_labels(labels: np.ndarray, classes: ClassSet, hatched: Optional[np.ndarray] = None) -> np.ndarray:
    """Paint train ids in their colours, with outlines, and the class's number in every large region.

    Parameters
    ----------
    labels : np.ndarray
        (H, W) uint8, 255 where ignored, which is white.
    classes : ClassSet
        For the colours.
    hatched : np.ndarray, optional
        Where to hatch, (H, W) bool.

    Returns
    -------
    np.ndarray
        (h, w, 3) uint8 RGB.
    """
    size = shown_size(*labels.shape)
    large = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    painted = colourize(large, classes)
    if hatched is not None:
        where = cv2.resize(hatched.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        rows, columns = np.indices(where.shape)
        lines = where & ((rows + columns) % _HATCH_EVERY < _HATCH_WIDTH)
        painted[lines] = _HATCH
        painted[_edges(where)] = _EDGE
    painted[_edges(large)] = _EDGE
    picture = Image.fromarray(painted)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT)
    for place, label in _numbered(large):
        colour = "white" if np.dot(classes.palette[label], (0.299, 0.587, 0.114)) < 140 else "black"
        draw.text(place, str(label), fill=colour, font=font, anchor="mm")
    return np.asarray(picture)


def paint_confidence(confidence: np.ndarray, t1: float) -> np.ndarray:
    """Paint adversarial confidence, (H, W) float32, from black to white, with a line where it is t1."""
    size = shown_size(*confidence.shape)
    large = cv2.resize(np.ascontiguousarray(confidence, dtype=np.float32), size, interpolation=cv2.INTER_LINEAR)
    grey = (np.clip(large, 0, 1) * 255).astype(np.uint8)
    painted = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    line = _edges(large > t1).astype(np.uint8)
    for width, colour in ((5, (0, 0, 0)), (3, (255, 214, 0))):  # seen on any grey, in print too
        painted[cv2.dilate(line, np.ones((width, width), np.uint8)).astype(bool)] = colour
    return painted


def strip_of(
    columns: Sequence[str], rows: Sequence[Sequence[np.ndarray]], classes: ClassSet, hatched: str = ""
) -> bytes:
    """Return a PNG with a row per image.

    Parameters
    ----------
    columns : sequence of str
        The heading of each column.
    rows : sequence of sequence of np.ndarray
        For each column a picture, (h, w, 3) uint8 RGB; None where there is none.
    classes : ClassSet
        For the legend.
    hatched : str
        What is hatched, if anything.
    """
    height, width = rows[0][0].shape[:2]
    row_inches = _INCHES_PER_COLUMN * height / width
    lines = -(-(len(classes) + 2) // _LEGEND_COLUMNS)
    legend = _INCHES_PER_LEGEND_LINE * lines + 0.2
    with figure_of(_INCHES_PER_COLUMN * len(columns), row_inches * len(rows) + 0.35 + legend) as figure:
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for axes_row, pictures in zip(grid, rows):
            for one, picture in zip(axes_row, pictures):
                one.set_axis_off()
                if picture is not None:
                    one.imshow(picture, interpolation="nearest")
        for one, heading in zip(grid[0], columns):
            one.set_title(heading, fontsize=10, pad=4)
        total = figure.get_figheight()
        figure.subplots_adjust(0.004, legend / total, 0.996, 1 - 0.3 / total, wspace=0.03, hspace=0.05)
        _draw_legend(figure, classes, hatched)
        return png_of(figure)


def _edges(values: np.ndarray) -> np.ndarray:
    """Return where a pixel differs from the one to its right or below, (H, W) bool."""
    edges = np.zeros(values.shape, dtype=bool)
    edges[:, :-1] |= values[:, :-1] != values[:, 1:]
    edges[:-1] |= values[:-1] != values[1:]
    return edges


def _numbered(labels: np.ndarray) -> List[Tuple[Tuple[int, int], int]]:
    """Return where numbers go, (x, y), and which: the largest regions first, while there is room in them."""
    found = []
    for label in np.unique(labels):
        if label == IGNORE:
            continue
        _, regions, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8), connectivity=4)
        largest = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:_MOST_NUMBERS] + 1
        for region in largest[stats[largest, cv2.CC_STAT_AREA] > _ROOM**2]:
            inside = np.pad((regions == region).astype(np.uint8), 1)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
            _, radius, _, (x, y) = cv2.minMaxLoc(depth)
            if radius >= _ROOM:
                found.append((radius, (x - 1, y - 1), int(label)))
    found.sort(key=lambda one: -one[0])
    return [(place, label) for _, place, label in found[:_MOST_NUMBERS]]


def _draw_legend(figure: Figure, classes: ClassSet, hatched: str) -> None:
    named = enumerate(zip(classes.names, classes.palette))
    patches = [
        Patch(facecolor=colour / 255, edgecolor="black", linewidth=0.4, label=f"{number} {wrapped(name, 18)}")
        for number, (name, colour) in named
    ]
    patches.append(Patch(facecolor="white", edgecolor="black", linewidth=0.4, label="no label"))
    if hatched:
        patches.append(Patch(facecolor="white", edgecolor="black", linewidth=0.4, hatch="/////", label=hatched))
    figure.legend(handles=patches, loc="lower center", ncol=_LEGEND_COLUMNS, frameon=False, fontsize=_SMALL_PRINT)
