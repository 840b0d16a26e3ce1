"""Draws predictions for people to look at: an image under its classes' colours, and their legend."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.labels import ClassSet
from gluon_madapt.names import printable

_LEGEND_ROWS = 20


def overlay(image: np.ndarray, colours: np.ndarray, alpha: float) -> np.ndarray:
    """Blend an image with colours, both (H, W, 3) uint8; ``alpha`` is the share of the colours, 0 to 1."""
    return cv2.addWeighted(image, 1 - alpha, colours, alpha, 0)


def draw_legend(path: Path, classes: ClassSet, ids: np.ndarray) -> None:
    """Write a PNG that shows the colour, id and name of every class; ``ids`` (L,) are those that label images hold."""
    figure = Figure(facecolor="white")
    patches = [
        Patch(facecolor=colour / 255, edgecolor="black", linewidth=0.3, label=f"{number}  {printable(name)}")
        for number, name, colour in zip(ids, classes.names, classes.palette)
    ]
    columns = -(-len(patches) // _LEGEND_ROWS)
    legend = figure.legend(handles=patches, loc="center", ncol=columns, frameon=False, fontsize=11)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in a name is a $
    with write_atomically(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # of names in other scripts: classes.json has them
        figure.savefig(file, format="png", dpi=100, bbox_inches="tight", bbox_extra_artists=[legend])
