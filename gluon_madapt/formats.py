"""Writes numbers as text, the same way wherever they are printed, logged or laid out."""

import statistics
from typing import Iterable, Mapping, Optional, Sequence

from gluon_madapt.labels import class_set

NOT_RUN, NONE = "not run", "–"
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
    counts, most = set(), 0
    for iou in ious:
        names = _NAMES_13 if key == "miou13" else tuple(iou)
        counts.add(sum(iou.get(name) is not None for name in names))
        most = max(most, len(names))
    if counts <= {most}:
        return ""
    return f" over {' to '.join(map(str, sorted({min(counts), max(counts)})))} of {most} classes"


def mean_and_deviation(values: Sequence[float], of: int) -> str:
    """Return "36.2 ± 0.5", with the sample standard deviation of two values or more, or "not run".

    ``of`` is the number of seeds; "(2 of 3 seeds)" follows where some were not run.
    """
    if not values:
        return NOT_RUN
    text = f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")
    return text if len(values) == of else f"{text} ({len(values)} of {of} seeds)"


def mean_of_known(values: Sequence[Optional[float]], absent: str = NONE) -> str:
    """Return the mean of the numbers that there are, and their deviation; ``absent`` if all of them are None."""
    known = [value for value in values if value is not None]
    if known:
        return mean_and_deviation(known, len(known))
    return absent if values else NONE


def percent(value: Optional[float]) -> str:
    """Return a number in percent with one decimal: "36.2"."""
    return NONE if value is None else f"{value:.1f}"


def area(value: Optional[float]) -> str:
    """Return the area under a ROC curve with three decimals: "0.612"."""
    return NONE if value is None else f"{value:.3f}"


def difference(values: Sequence[float]) -> str:
    """Return the mean of differences with its sign, "+1.4 ± 0.3", and its deviation if there are two or more."""
    if not values:
        return NONE
    return f"{statistics.mean(values):+.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def images_per_second(rate: float) -> str:
    """Return a rate as text, in three digits."""
    return f"{rate:.0f} images/s" if rate >= 100 else f"{rate:#.3g} images/s"


def duration(seconds: Optional[float]) -> str:
    """Return a duration to two digits or so: "35 s", "12 min", "5.5 h", "31 days"."""
    if seconds is None:
        return "not known"
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            number = seconds / length
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004 - two digits
    return f"{seconds:.0f} s"
