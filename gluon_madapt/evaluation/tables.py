"""Scores as the paper prints them: percent with one decimal, classes side by side."""

import statistics
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from gluon_madapt.labels import class_set
from gluon_madapt.names import printable

NOT_RUN = "not run"
_MEANS = {"miou": "mIoU", "miou13": "mIoU* (13 classes)"}
_NAMES_13 = tuple(class_set(16).names[train_id] for train_id in class_set(16).subset_13)


def over_fewer(ious: Iterable[Mapping[str, Optional[float]]], key: str = "miou") -> str:
    """Say over how many classes a mean is: " over 15 of 19 classes"; nothing where it is over all of them.

    Parameters
    ----------
    ious : iterable of mappings
        The IoU per class of each score behind the mean, None where a class is absent.
    key : str
        The mean: "miou", or "miou13", which is over 13 classes.
    """
    counts, of = set(), 0
    for iou in ious:
        names = _NAMES_13 if key == "miou13" else tuple(iou)
        counts.add(sum(iou.get(name) is not None for name in names))
        of = max(of, len(names))
    if counts <= {of}:
        return ""
    return f" over {' to '.join(str(one) for one in sorted({min(counts), max(counts)}))} of {of} classes"


def mean_and_deviation(values: Sequence[float], of: int) -> str:
    """Return "36.2 ± 0.5", with the sample standard deviation of two values or more, or "not run".

    ``of`` is the number of seeds; "(2 of 3 seeds)" follows where some were not run.
    """
    if not values:
        return NOT_RUN
    text = f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")
    return text if len(values) == of else f"{text} ({len(values)} of {of} seeds)"


def score_table(scores: Dict) -> str:
    """Lay out what `summary` returns: a line per class, then the means, and of how many classes if not of all."""
    means = [(key, title, over_fewer([scores["iou"]], key).strip()) for key, title in _MEANS.items() if key in scores]
    rows = [(name, _percent(value), "") for name, value in scores["iou"].items()]
    rows += [(title, _percent(scores[key]), over) for key, title, over in means]
    header = ("class", "IoU", "note")
    if not any(over for _, _, over in means):
        header, rows = header[:2], [row[:2] for row in rows]
    return text_table(header, rows)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table in Markdown, the first column to the left and all others to the right."""
    lines: List[List[str]] = [[printable(cell).replace("|", r"\|") for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    cells = [[line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def _percent(value) -> str:
    return "absent" if value is None else f"{value:.1f}"
