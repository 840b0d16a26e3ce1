"""Describes a proxy set, the labels at one p1 and p2: its files, and the thresholds and counts that it records."""

import logging
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from gluon_madapt.data.fingerprints import Fingerprint, is_same
from gluon_madapt.files.json_files import read_json, write_json
from gluon_madapt.proxies import Shares, Thresholds, portion_of_round
from gluon_madapt.proxies.roc import VERSION
from gluon_madapt.proxy_maps.auditing import Truth, audit_in_words, audit_labels
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.labelling import Labelling
from gluon_madapt.run_layout import COST, METRICS, PROXY_LABELS, PROXY_RECORD
from gluon_madapt.runs.run import Run
from gluon_madapt.system.peak_memory import peak_memory_gib

_SEARCH = "search.npz"

_log = logging.getLogger(__name__)


def shares_of(run: Run) -> Shares:
    """Return p1 and p2 of a run in its round."""
    settings = run.experiment.proxies
    return Shares(settings.p1, portion_of_round(settings.p2, settings.p2_growth, settings.p2_most, run.number))


class ProxySet(NamedTuple):
    """The proxies of a run, made or to be made; ``left_out`` are the names of target images that cannot be read."""

    run: Run
    labelling: Labelling
    left_out: Sequence[str]

    @property
    def metrics(self) -> Path:
        """The file that marks a finished set."""
        return self.labelling.folder / METRICS

    @property
    def record(self) -> Path:
        """The file of thresholds and counts."""
        return self.labelling.folder / PROXY_RECORD

    @property
    def search(self) -> Path:
        """The counts of a threshold search that is not finished."""
        return self.labelling.folder / _SEARCH

    @property
    def labels(self) -> Path:
        """The folder of the label files."""
        return self.labelling.folder / PROXY_LABELS

    @property
    def finished(self) -> bool:
        """Whether the set is whole."""
        files = [self.metrics, self.record, *(self.labelling.path(name) for name in self.labelling.names)]
        return all(path.exists() for path in files)

    def is_audited(self, truth: Fingerprint) -> bool:
        """Tell whether the record says all that an audit finds, by the truth that there is now."""
        record = read_json(self.record) if self.record.exists() else {}
        current = "audit" in record and record.get("roc", {}).get("version") == VERSION
        return current and is_same(record.get("audited_by"), truth)

    @property
    def share_labelled(self) -> float:
        """The share of all pixels that have a proxy."""
        return read_json(self.record)["share_labelled"]

    def write(self, cache: MapCache, thresholds: Thresholds, code: Sequence[str], seconds: Optional[float]) -> None:
        """Write the record, and last the metrics, of labels that are all there.

        ``seconds`` is what the set took this process; None if part of the work was done before, or is shared.
        """
        record = self._new_record(cache, thresholds)
        self._warn_of_lost_classes(thresholds)
        metrics = {
            "stage": "proxies",
            "code": list(code),
            "seed": record["seed"],
            "labels_sha256": record["labels_sha256"],
            "images": record["images"],
            "share_labelled": record["share_labelled"],
            "left_out": list(self.left_out),
        }
        write_json(self.record, record)
        if seconds is not None:
            cost = {"seconds": seconds, "peak_memory_gib": round(peak_memory_gib(), 3)}
            write_json(self.labelling.folder / COST, cost)
        write_json(self.metrics, metrics)  # last

    def audit(self, cache: MapCache, truth: Truth, fingerprint: Fingerprint) -> None:
        """Add to the record how many labels are right, and what scores tell of it, by the truth of a fingerprint."""
        self.labelling.restore()
        record, threads = read_json(self.record), self.run.experiment.data.threads
        counts = audit_labels(cache, self.labelling, thresholds_of(record), threads, truth)
        audit, roc = (one.report(self.run.classes.names) for one in counts)
        write_json(self.record, dict(record, audit=audit, roc=roc, audited_by=fingerprint))

    def summary(self, audited: bool) -> List[str]:
        """Return the share of labelled pixels and, if just ``audited``, what the audit found, as lines of text."""
        record = read_json(self.record)
        text = f"proxies: {100 * record['share_labelled']:.1f}% of all pixels labelled, in {self.labels}"
        for group, counts in record.get("audit", {}).items():
            if audited and counts["pixels"]:
                text += f"; {group.replace('_', ' ')} {100 * counts['accuracy']:.1f}% right"
        return [text, *(audit_in_words(record) if audited else [])]

    def _new_record(self, cache: MapCache, thresholds: Thresholds) -> Dict[str, Any]:
        shares, kept, focused = shares_of(self.run), self.labelling.kept(), thresholds.focused

        def by_class(values: np.ndarray) -> Dict[str, Any]:
            return {name: value.item() for name, value in zip(self.run.classes.names, values)}

        return {
            "made_from": cache.made_from,
            "seed": self.run.experiment.seed,
            "images": len(cache),
            "pixels": thresholds.pixels,
            "p1": shares.p1,
            "p2": shares.p2,
            "t1": float(thresholds.t1),
            "t2": by_class(thresholds.t2),
            "pixels_focused": int(focused.sum()),
            "pixels_focused_by_class": by_class(focused),
            "pixels_kept": int(kept.sum()),
            "pixels_kept_by_class": by_class(kept),
            "share_labelled": float(kept.sum() / thresholds.pixels),
            "ties": {
                "t1": thresholds.ties_t1 / thresholds.pixels,
                "t2": by_class(thresholds.ties_t2 / np.maximum(focused, 1)),
            },
            "labels_sha256": self.labelling.digest(),
        }

    def _warn_of_lost_classes(self, thresholds: Thresholds) -> None:
        """Name the classes without proxies, lost to probabilities that float32 cannot tell from 1."""
        folder, p2 = self.labelling.folder, shares_of(self.run).p2
        counts = zip(self.run.classes.names, thresholds.t2, thresholds.focused, thresholds.ties_t2)
        for name, t2, focused, ties in counts:
            if focused and t2 == 1:
                ones = f"{100 * ties / focused:.0f}% of its {focused} pixels have a probability of 1"
                _log.warning("%s: no proxies of class %s: %s, and p2 = %s keeps less", folder, name, ones, p2)


def thresholds_of(record: Dict[str, Any]) -> Thresholds:
    """Return the thresholds that proxies.json holds."""
    focused = np.array(list(record["pixels_focused_by_class"].values()))
    ties = np.array(list(record["ties"]["t2"].values())) * focused
    return Thresholds(
        np.float32(record["t1"]),
        np.array(list(record["t2"].values()), dtype=np.float32),
        record["pixels"],
        focused,
        round(record["ties"]["t1"] * record["pixels"]),
        ties.round().astype(np.int64),
    )
