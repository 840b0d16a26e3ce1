"""Draws the report's charts in one style: curves of a training, bars of the classes."""

import io
import textwrap
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Dict, Iterator, List, Literal, NamedTuple, Optional, Sequence, Tuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from gluon_madapt.names import printable
from gluon_madapt.report.curves import Panel

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # older releases have no such name

INK, MUTED, PALE = "#1f2933", "#5f6b7a", "#d9dee4"
# Of lines and bars: as different in lightness and in dashes as they are in hue.
COLOURS = ("#1b4f8a", "#d1782a", "#4d9078", "#8c6bb1")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)))
DOTS_PER_INCH = 180

_WIDTH = 4.8
_INCHES_PER_CLASS = 0.33
_BAR = 0.38
_PANEL_SIZE = (4.2, 2.5)
# Up to so many points each is marked.
_FEW = 12
# Labels at the ends of lines are kept apart by this share of the height.
_APART = 0.11

_SETTINGS: "Dict[RcKeyType, object]" = {
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
def figure_of(width: float, height: float, layout: Optional[Literal["constrained"]] = None) -> Iterator[Figure]:
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


class ClassScores(NamedTuple):
    """The IoU of a class, in percent: of each seed, None where it is absent; nothing where it was not scored."""

    name: str
    before: Sequence[Optional[float]]
    after: Sequence[Optional[float]]


class ClassPixels(NamedTuple):
    """The pixels of a class in all target images: those that the discriminators left, and those with a proxy."""

    name: str
    focused: int
    kept: int


def draw_iou(classes: Sequence[ClassScores]) -> bytes:
    """Draw the IoU of every class, before hatched and after solid; a dot for each of several seeds.  A PNG."""
    with chart(_WIDTH, _height(len(classes))) as (figure, axes):
        places = np.arange(len(classes))
        _draw_side(axes, places - _BAR / 2, [one.before for one in classes], "before: source only", False)
        _draw_side(axes, places + _BAR / 2, [one.after for one in classes], "after: adapted", True)
        axes.set_xlim(0, 100)
        axes.set_xlabel("IoU in percent")
        _finish(axes, [one.name for one in classes])
        return png_of(figure)


def draw_coverage(classes: Sequence[ClassPixels]) -> bytes:
    """Draw how many pixels of every class were looked at and got a proxy, on a logarithmic scale.  A PNG."""
    with chart(_WIDTH, _height(len(classes))) as (figure, axes):
        places = np.arange(len(classes))
        for offset, key, label, solid in (
            (-_BAR / 2, "focused", "looked at: A > t1", False),
            (_BAR / 2, "kept", "proxies", True),
        ):
            values = [getattr(one, key) for one in classes]
            axes.barh(places + offset, [max(value, 0.5) for value in values], _BAR, label=label, **_bar_style(solid))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0.5, 2 * max(2, *(one.focused for one in classes), *(one.kept for one in classes)))
        axes.set_xlabel("pixels of all target images, logarithmic")
        for place, one in zip(places, classes):
            if not one.focused:
                axes.annotate(" none looked at", (0.55, place), fontsize=8, color=MUTED, va="center")
            elif not one.kept:
                axes.annotate(" no proxies", (0.55, place + _BAR / 2), fontsize=8, fontweight="bold", va="center")
        _finish(axes, [one.name for one in classes])
        return png_of(figure)


def _draw_side(
    axes: Axes, places: np.ndarray, values: List[Sequence[Optional[float]]], label: str, solid: bool
) -> None:
    known = [[value for value in one if value is not None] for one in values]
    means = [float(np.mean(one)) if one else 0.0 for one in known]
    axes.barh(places, means, _BAR, label=label, **_bar_style(solid))
    for place, one, given in zip(places, known, values):
        if len(one) > 1:
            axes.plot(
                one, [place] * len(one), "o", markersize=3, color="white", markeredgecolor=INK, markeredgewidth=0.7
            )
        elif given and not one:
            axes.annotate(" absent", (0, place), fontsize=7.5, color=MUTED, va="center")


def _bar_style(solid: bool) -> dict:
    """Return how a bar is filled: apart in lightness and in pattern."""
    if solid:
        return {"color": COLOURS[0], "edgecolor": COLOURS[0], "linewidth": 0.6}
    return {"color": "white", "edgecolor": MUTED, "hatch": "/////", "linewidth": 0.6}


def _finish(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([wrapped(name) for name in names], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2, frameon=False, borderaxespad=0.2, handlelength=1.6)


def _height(classes: int) -> float:
    return _INCHES_PER_CLASS * max(classes, 2) + 0.9


def draw_panel(panel: Panel) -> bytes:
    """Draw a chart, a PNG; of several seeds the first is the thick line."""
    with chart(*_PANEL_SIZE) as (figure, axes):
        ends = []
        for (label, curves), colour, dashes in zip(panel.curves.items(), _cycle(COLOURS), _cycle(DASHES)):
            for place, curve in reversed(list(enumerate(curves))):
                width, alpha = (1.6, None) if place == 0 else (0.8, 0.55)
                marker = "o" if len(curve.iterations) <= _FEW else None
                axes.plot(
                    *curve, color=colour, linestyle=dashes, marker=marker, markersize=3, linewidth=width, alpha=alpha
                )
            ends.append((curves[0].values[-1], label, colour))
        last = max(curve.iterations[-1] for curves in panel.curves.values() for curve in curves)
        axes.set_xlim(0, max(last, 1) * 1.02)
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.set_title(panel.title, loc="left")
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.margins(y=0.08)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=False)
        if panel.chance:
            value, text, top = panel.chance
            axes.axhline(value, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
            where = axes.get_yaxis_transform()
            axes.text(0.01, value, text, transform=where, fontsize=8, color=MUTED, va="bottom")
            axes.set_ylim(0, max(top, axes.get_ylim()[1]))
        elif "rate" in panel.curves:
            axes.set_ylim(bottom=0)
        if len(ends) > 1:
            _label_ends(axes, ends, last)
        return png_of(figure)


def _label_ends(axes: Axes, ends: Sequence[Tuple[float, str, str]], last: float) -> None:
    """Write the labels beside the ends of their lines, moved apart where they would touch."""
    low, high = axes.get_ylim()
    step, floor = _APART * (high - low), low
    for value, label, colour in sorted(ends):
        height = max(value, floor)
        axes.annotate(
            label,
            (last * 1.03, height),
            annotation_clip=False,
            color=colour,
            fontsize=9,
            fontweight="bold",
            va="center",
        )
        floor = height + step


def _cycle(values: Sequence) -> List:
    return list(values) * 8
