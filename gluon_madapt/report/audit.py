"""Lays out an audit: how right the pixels are that each criterion keeps and drops, and what s and A tell of it."""

from typing import List, NamedTuple, Optional, Sequence

from gluon_madapt.formats import NONE, area, percent
from gluon_madapt.proxies.audit import Side, criteria_of
from gluon_madapt.proxies.roc import BOTH, CONFIDENCE, SCORE, gain_of, what_confidence_adds
from gluon_madapt.report.stored import Areas, ProxyRecord

_CRITERIA = {"p1": "p1 alone: A > t1", "p2": "p2 alone: P > t2 of the class", "both": "both: the proxies"}


class CriterionRow(NamedTuple):
    """What a criterion keeps and drops, as text: pixels, and how many of them are right in percent."""

    name: str
    kept: str
    kept_right: str
    dropped: str
    dropped_right: str


class AreaRow(NamedTuple):
    """The areas under the ROC curves of a class, or in all, as text; ``turned``: A adds by its wrong end."""

    number: Optional[int]
    name: str
    pixels: str
    right: str
    areas: Sequence[str]
    adds: str
    turned: bool


class AuditTables(NamedTuple):
    """What the page says of an audit; ``scores`` are the columns of areas, none in an audit of an earlier version."""

    criteria: Sequence[CriterionRow]
    scores: Sequence[str]
    areas: Sequence[AreaRow]
    sentence: str
    bins: str


def audit_tables(record: Optional[ProxyRecord], names: Sequence[str]) -> Optional[AuditTables]:
    """Return the tables of an audit; None where there was none.

    Parameters
    ----------
    record : ProxyRecord, optional
        What proxies.json says.
    names : sequence of str
        Of the classes.
    """
    if record is None or record.audit is None:
        return None
    criteria = criteria_of({name: group.model_dump() for name, group in record.audit.items()})
    rows = [CriterionRow(_CRITERIA[name], *_side(one.kept), *_side(one.dropped)) for name, one in criteria.items()]
    if record.roc is None:
        return AuditTables(rows, (), (), "", "")
    every, by_class = record.roc.in_all, record.roc.by_class
    scores = list(every.areas)
    areas = [_area_row(number, name, by_class[name], scores) for number, name in enumerate(names) if name in by_class]
    areas.append(_area_row(None, "in all", every, scores))
    bins = "" if every.off_by_at_most is None else f"{every.off_by_at_most:.4f}"
    return AuditTables(rows, scores, areas, _sentence(every), bins)


def _side(side: Side) -> List[str]:
    return [f"{side.pixels:,}", _share(side.accuracy)]


def _share(value: Optional[float]) -> str:
    return NONE if value is None else percent(100 * value)


def _area_row(number: Optional[int], name: str, row: Areas, scores: Sequence[str]) -> AreaRow:
    gain, right = gain_of(row.areas), row.right / row.pixels if row.pixels else None
    return AreaRow(
        number,
        name,
        f"{row.pixels:,}",
        _share(right),
        [area(row.areas.get(score)) for score in scores],
        NONE if gain is None else f"{gain:+.3f}",
        bool(gain and gain > 0 and row.weights and row.weights.get(CONFIDENCE, 0) < 0),
    )


def _sentence(row: Areas) -> str:
    score, confidence, both = (row.areas.get(name) for name in (SCORE, CONFIDENCE, BOTH))
    if score is None:
        return "All predictions are right, or none is: there is nothing to tell apart."
    text = f"Of a right and a wrong prediction the right one has the larger s with a probability of {area(score)}"
    if confidence is None or both is None:
        return f"{text} (0.5 is chance, 1 is without an error). Without discriminators there is no A."
    said = what_confidence_adds(row.areas, row.weights)
    return (
        f"{text}, and the larger A with one of {area(confidence)} (0.5 is chance, 1 is without an error). "
        f"Both together come to {area(both)}: {said}."
    )
