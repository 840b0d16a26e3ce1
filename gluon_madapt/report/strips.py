"""Rows of pictures: an image, what the networks make of it, and the truth (P Fig. 5 and 6)."""

from pathlib import Path
from typing import Sequence, Tuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gluon_madapt.atomic import write_atomically
from gluon_madapt.labels import ClassSet, colourize

_INCHES_PER_COLUMN = 3.2
_LEGEND_COLUMNS = 10


def picture_strip(
    path: Path, columns: Sequence[str], rows: Sequence[Tuple[np.ndarray, ...]], classes: ClassSet
) -> None:
    """Write a PNG with a row per image.

    Parameters
    ----------
    path : Path
        Where to write it.
    columns : sequence of str
        The heading of each column.
    rows : sequence of tuple of np.ndarray
        For each column an image, (H, W, 3) uint8 RGB, or train ids, (H, W) uint8, which are painted in the colours of
        ``classes``, white where ignored.
    classes : ClassSet
        For colours and legend.
    """
    height, width = rows[0][0].shape[:2]
    row_inches = _INCHES_PER_COLUMN * height / width
    figure = Figure(figsize=(_INCHES_PER_COLUMN * len(columns), row_inches * len(rows) + 1.15), facecolor="white")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes_row, pictures in zip(grid, rows):
        for axes, picture in zip(axes_row, pictures):
            axes.imshow(picture if picture.ndim == 3 else colourize(picture, classes), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
    for axes, heading in zip(grid[0], columns):
        axes.set_title(heading, fontsize=13)
    patches = [Patch(facecolor=colour / 255, label=name) for name, colour in zip(classes.names, classes.palette)]
    patches.append(Patch(facecolor="white", edgecolor="black", linewidth=0.5, label="ignored"))
    figure.legend(handles=patches, loc="lower center", ncol=_LEGEND_COLUMNS, frameon=False, fontsize=10.5)
    figure.tight_layout(rect=(0, 0.62 / figure.get_figheight(), 1, 1), pad=0.4)
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=100)
