"""How the report's charts look: one hand for all of them, and nothing that only its colour tells."""

import io
import textwrap
import warnings
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gluon_madapt.names import printable

INK, MUTED, PALE = "#1f2933", "#5f6b7a", "#d9dee4"
# Of lines and bars: as different in lightness and in dashes as they are in hue.
COLOURS = ("#1b4f8a", "#d1782a", "#4d9078", "#8c6bb1")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)))
DOTS_PER_INCH = 180

_SETTINGS = {
    "text.parse_math": False,  # names of classes may hold a $
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "hatch.linewidth": 0.7,
    "hatch.color": MUTED,
}


@contextmanager
def figure_of(width: float, height: float, layout: Optional[str] = None) -> Iterator[Figure]:
    """Open a figure, in inches, to be drawn and turned into a file within the context."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # of names in other scripts: the page has them
        yield Figure(figsize=(width, height), facecolor="white", layout=layout)


@contextmanager
def chart(width: float, height: float) -> Iterator[Tuple[Figure, Axes]]:
    """Open a figure of one chart; the rest as in `figure_of`."""
    with figure_of(width, height, "constrained") as figure:
        yield figure, figure.subplots()


def png_of(figure: Figure, dots_per_inch: int = DOTS_PER_INCH, source: str = "") -> bytes:
    """Return a figure as a PNG file, which says, if need be, what it was drawn from."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dots_per_inch, metadata={"Source": source} if source else None)
    return file.getvalue()


def wrapped(name: str, columns: int = 22) -> str:
    """Return a name in two lines at most, cut where it is longer."""
    lines = textwrap.wrap(printable(name), columns) or [" "]
    return "\n".join(lines[:2]) if len(lines) <= 2 else f"{lines[0]}\n{lines[1][: columns - 1]}…"
