"""Bars by class: the IoU before and after adaptation, and how many pixels got a proxy."""

from typing import List, NamedTuple, Optional, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullLocator

from gluon_madapt.report.style import COLOURS, INK, MUTED, PALE, chart, png_of, wrapped

_WIDTH = 4.8
_INCHES_PER_CLASS = 0.33
_BAR = 0.38


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
