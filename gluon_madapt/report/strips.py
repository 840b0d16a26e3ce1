"""Rows of pictures in one file, with their legend: an image and what the networks make of it (P Fig. 5 and 6)."""

from typing import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gluon_madapt.labels import ClassSet
from gluon_madapt.report.style import figure_of, png_of, wrapped

_INCHES_PER_COLUMN = 2.6
_INCHES_PER_LEGEND_LINE = 0.2
_LEGEND_COLUMNS = 7
_SMALL_PRINT = 7


def picture_strip(
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
