"""Curves of a training: what its log says, over the iterations."""

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gluon_madapt.formats import over_fewer
from gluon_madapt.report.style import COLOURS, DASHES, MUTED, PALE, chart, png_of

_SIZE = (4.2, 2.5)
# Up to so many points each is marked.
_FEW = 12
# Characters of a key that are shown, and numbers that can be drawn: beyond, there is no scale.
_LONGEST_KEY, _LARGEST = 40, 1e100
# Labels at the ends of lines are kept apart by this share of the height.
_APART = 0.11
# Of a discriminator that can tell nothing: -log 1/2 on the source, and once more on the target.
CHANCE = 2 * float(np.log(2))
_RATES = ("iteration", "learning_rate", "images_per_second", "waiting_for_data")


class Curve(NamedTuple):
    """One quantity of one training: ``iterations`` and ``values``, (n,) each, n > 0."""

    iterations: np.ndarray
    values: np.ndarray


class Panel(NamedTuple):
    """A chart: quantities that share an axis.

    Attributes
    ----------
    name, title : str
        Of its file, and above it.
    curves : dict of str to list of Curve
        By the quantity's label; a curve per seed.
    chance : bool
        Whether to mark what a discriminator scores that can tell nothing.
    """

    name: str
    title: str
    curves: Dict[str, List[Curve]]
    chance: bool = False

    def in_words(self) -> str:
        """Describe the chart."""
        parts = []
        for label, curves in self.curves.items():
            first = curves[0]
            parts.append(
                f"{label} from {first.values[0]:.3g} at iteration {first.iterations[0]} to {first.values[-1]:.3g} "
                f"at iteration {first.iterations[-1]}"
            )
        return f"{self.title}: {'; '.join(parts)}."


def panels_of(logs: Sequence[Sequence[Dict]]) -> List[Panel]:
    """Sort the entries of a stage's logs, one per seed, into charts; none for what no log has.

    A log's entries are those of ``log.jsonl``; what is not a finite number is left out.
    """
    keys = list(dict.fromkeys(key for log in logs for entry in log for key in entry))
    losses = [key for key in keys if key not in _RATES and key != "val"]
    terms = [key for key in losses if key.startswith("adversarial_")]
    discriminators = [key for key in losses if f"adversarial_{key}" in terms]
    panels = [
        _panel(logs, f"loss-{key}", f"{_readable(key)} loss", {key: _readable(key)})
        for key in losses
        if key not in (*terms, *discriminators)
    ]
    panels.append(
        _panel(logs, "adversarial", "adversarial terms, unweighted", {one: _readable(one[12:]) for one in terms})
    )
    panels.append(
        _panel(logs, "discriminators", "losses of the discriminators", {d: _readable(d) for d in discriminators})
    )
    panels[-1] = panels[-1]._replace(chance=True)
    panels.append(_panel(logs, "learning-rate", "learning rate", {"learning_rate": "rate"}))
    scored = [
        [{"iteration": one.get("iteration"), "miou": one["val"].get("miou")} for one in log if _is_score(one)]
        for log in logs
    ]
    over = over_fewer(one["val"]["iou"] for log in logs for one in log if _is_score(one) and _has_classes(one["val"]))
    title = "mIoU in percent" + (over or ", on the labelled val split")
    panels.append(_panel(scored, "miou", title, {"miou": "mIoU"}))
    return [panel for panel in panels if panel.curves]


def draw_panel(panel: Panel) -> bytes:
    """Draw a chart, a PNG; of several seeds the first is the thick line."""
    with chart(*_SIZE) as (figure, axes):
        ends = []
        for (label, curves), colour, dashes in zip(panel.curves.items(), _cycle(COLOURS), _cycle(DASHES)):
            for place, curve in reversed(list(enumerate(curves))):
                style = {"linewidth": 1.6} if place == 0 else {"linewidth": 0.8, "alpha": 0.55}
                marker = "o" if len(curve.iterations) <= _FEW else None
                axes.plot(*curve, color=colour, linestyle=dashes, marker=marker, markersize=3, **style)
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
            axes.axhline(CHANCE, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
            where = axes.get_yaxis_transform()
            axes.text(0.01, CHANCE, "chance: 2 ln 2", transform=where, fontsize=8, color=MUTED, va="bottom")
            axes.set_ylim(0, max(1.15 * CHANCE, axes.get_ylim()[1]))
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


def _panel(logs: Sequence[Sequence[Dict]], name: str, title: str, labels: Dict[str, str]) -> Panel:
    curves = {}
    for key, label in labels.items():
        found = [points for points in (_points(log, key) for log in logs) if points]
        if found:
            curves[label] = [Curve(*map(np.array, zip(*points))) for points in found]
    return Panel(name, title, curves)


def _points(log: Sequence[Dict], key: str) -> List[Tuple[int, float]]:
    points = [(one.get("iteration"), one.get(key)) for one in log]
    return [(x, y) for x, y in points if _is_number(x) and _is_number(y)]


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _readable(key: str) -> str:
    """Return a key of a log as a chart shows it: printed characters, and not too many."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in key[:_LONGEST_KEY].replace("_", " "))


def _is_score(entry: Dict) -> bool:
    return isinstance(entry.get("val"), dict)


def _has_classes(scores: Dict) -> bool:
    return isinstance(scores.get("iou"), dict)


def _cycle(values: Sequence) -> List:
    return list(values) * 8
