"""Compares finished labels, what each criterion dropped, and what it went by, with the truth."""

from contextlib import closing
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from gluon_madapt.errors import FailureError
from gluon_madapt.formats import NONE, area
from gluon_madapt.proxies import Audit, RocCounts, Thresholds, choose
from gluon_madapt.proxies.audit import Side, criteria_of
from gluon_madapt.proxies.roc import what_confidence_adds
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.labelling import Labelling
from gluon_madapt.proxy_maps.scored_maps import confidence_of_each, scored_blocks
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import in_threads

# Reads the label of an image by its place, (H, W) uint8 train ids; None if it has none.
Truth = Callable[[int], Optional[np.ndarray]]


def audit_labels(
    cache: MapCache, labelling: Labelling, thresholds: Thresholds, threads: int, truth: Truth
) -> Tuple[Audit, RocCounts]:
    """Count, in one pass over the maps, what is right of the labels, of what was dropped, and of all predictions.

    Raises
    ------
    FailureError
        If the maps do not give the labels that are there.
    """
    classes = len(cache.read(0).logits)
    total, roc = Audit(classes), RocCounts(classes, cache.discriminators)

    def audit(index: int) -> Audit:
        maps, name, known = cache.read(index), cache.names[index], truth(index)
        counts, labels = Audit(classes), np.empty(maps.size, dtype=np.uint8)
        alone = confidence_of_each(maps) if known is not None else []
        for rows, probabilities, confidence in scored_blocks(maps):
            choice = choose(probabilities, confidence, thresholds)
            labels[rows] = choice.labels
            if known is not None:
                counts.add(known[rows], choice)
                roc.add(known[rows], probabilities, [confidence, *(one[rows] for one in alone)] if alone else [])
        if not labelling.agrees(name, labels):
            raise FailureError(
                f"{labelling.path(name)}: was made from other maps than those in {cache.folder}: "
                "make the proxies anew with --fresh"
            )
        return counts

    audited = in_threads(audit, range(len(cache)), threads, ahead=2 * threads)
    with Progress("proxies: audit", len(cache)) as progress, closing(audited):
        for image in audited:
            total.counts += image.counts
            progress.one_more()
    return total, roc


def audit_in_words(record: Dict[str, Any]) -> List[str]:
    """Return as lines of text what an audited record says of each criterion alone, and of s and A."""
    criteria = criteria_of(record["audit"])
    words = (f"{name} {_share(one.kept)} / {_share(one.dropped)}" for name, one in criteria.items())
    lines = [f"audit: right of what each criterion alone keeps / drops: {', '.join(words)}"]
    row = record["roc"]["in_all"]
    areas = row["areas"]
    texts = (f"{name} {area(value)}" for name, value in areas.items())
    found = f"audit: area under the ROC curve of right predictions, where 0.5 is chance: {', '.join(texts)}"
    said = what_confidence_adds(areas, row["weights"])
    return [*lines, found + f"; {said}" * bool(said)]


def _share(side: Side) -> str:
    return NONE if side.accuracy is None else f"{100 * side.accuracy:.1f}%"
