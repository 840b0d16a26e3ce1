"""Lays out scores as the paper prints them: percent with one decimal, classes side by side."""

from typing import Dict, List, Sequence, Tuple

from gluon_madapt.formats import over_fewer
from gluon_madapt.names import printable

_MEANS = {"miou": "mIoU", "miou13": "mIoU* (13 classes)"}


def score_table(scores: Dict) -> str:
    """Lay out what `summary` returns: a line per class, then the means, and of how many classes if not of all."""
    means = [(key, title, over_fewer([scores["iou"]], key).strip()) for key, title in _MEANS.items() if key in scores]
    rows: List[Tuple[str, ...]] = [(name, _percent(value), "") for name, value in scores["iou"].items()]
    rows += [(title, _percent(scores[key]), over) for key, title, over in means]
    header: Tuple[str, ...] = ("class", "IoU", "note")
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
