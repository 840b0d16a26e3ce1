"""Sorts the entries of training logs into curves, and the curves into panels."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_madapt.formats import over_fewer
from gluon_madapt.run_layout import EXCHANGE_RATES, RATES
from gluon_madapt.stages.discriminator_watch import CHANCE

# Characters of a key that are shown, and numbers that can be drawn: beyond, there is no scale.
_LONGEST_KEY, _LARGEST = 40, 1e100
_ACCURACY, _SHARE = "accuracy_", "adversary_share"


class Curve(NamedTuple):
    """One quantity of one training: ``iterations`` and ``values``, (n,) each, n > 0."""

    iterations: np.ndarray
    values: np.ndarray


class Chance(NamedTuple):
    """A value of chance, what to write at it, and up to where the axis goes at least."""

    value: float
    text: str
    top: float


_LOSS_OF_CHANCE = Chance(CHANCE, "chance: 2 ln 2", 1.15 * CHANCE)
_ACCURACY_OF_CHANCE = Chance(0.5, "chance", 1.02)


class Panel(NamedTuple):
    """A chart: quantities that share an axis.

    Attributes
    ----------
    name, title : str
        Of its file, and above it.
    curves : dict of str to list of Curve
        By the quantity's label; a curve per seed.
    chance : Chance, optional
        What a discriminator scores that can tell nothing, to be marked.
    """

    name: str
    title: str
    curves: Dict[str, List[Curve]]
    chance: Optional[Chance] = None

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
    losses = [key for key in keys if key not in ("iteration", "val", *RATES, *EXCHANGE_RATES)]
    terms = [key for key in losses if key.startswith("adversarial_")]
    accuracies = [key for key in losses if key.startswith(_ACCURACY)]
    theirs = [key for key in losses if f"adversarial_{key}" in terms]
    discriminators = theirs or [key for key in losses if f"{_ACCURACY}{key}_source" in accuracies]
    panels = [
        _panel(logs, f"loss-{key}", f"{_readable(key)} loss", {key: _readable(key)})
        for key in losses
        if key not in (*terms, *discriminators, *accuracies, _SHARE)
    ]
    panels.append(
        _panel(logs, "adversarial", "adversarial terms, unweighted", {one: _readable(one[12:]) for one in terms})
    )
    panels.append(
        _panel(logs, "discriminators", "losses of the discriminators", {d: _readable(d) for d in discriminators})
    )
    panels[-1] = panels[-1]._replace(chance=_LOSS_OF_CHANCE)
    right = {key: _readable(key[len(_ACCURACY) :]) for key in accuracies}
    panels.append(_panel(logs, "accuracy", "share of cells that the discriminators get right", right))
    panels[-1] = panels[-1]._replace(chance=_ACCURACY_OF_CHANCE)
    panels.append(_panel(logs, "adversary-share", "share of the adversary in the gradient of F", {_SHARE: "share"}))
    panels.append(_panel(logs, "learning-rate", "learning rate", {"learning_rate": "rate"}))
    scored = [
        [{"iteration": one.get("iteration"), "miou": one["val"].get("miou")} for one in log if _is_score(one)]
        for log in logs
    ]
    over = over_fewer(one["val"]["iou"] for log in logs for one in log if _is_score(one) and _has_classes(one["val"]))
    title = "mIoU in percent" + (over or ", on the labelled val split")
    panels.append(_panel(scored, "miou", title, {"miou": "mIoU"}))
    return [panel for panel in panels if panel.curves]


def _panel(logs: Sequence[Sequence[Dict]], name: str, title: str, labels: Dict[str, str]) -> Panel:
    curves = {}
    for key, label in labels.items():
        found = [points for points in (_points(log, key) for log in logs) if points]
        if found:
            curves[label] = [Curve(*map(np.array, zip(*points))) for points in found]
    return Panel(name, title, curves)


def _points(log: Sequence[Dict], key: str) -> List[Tuple[int, float]]:
    points: Iterator[Tuple[Any, Any]] = ((entry.get("iteration"), entry.get(key)) for entry in log)
    return [(iteration, value) for iteration, value in points if _is_drawn(iteration) and _is_drawn(value)]


def _is_drawn(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _readable(key: str) -> str:
    """Return a key of a log as a chart shows it: printed characters, and not too many."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in key[:_LONGEST_KEY].replace("_", " "))


def _is_score(entry: Dict) -> bool:
    return isinstance(entry.get("val"), dict)


def _has_classes(scores: Dict) -> bool:
    return isinstance(scores.get("iou"), dict)
