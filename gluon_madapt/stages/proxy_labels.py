"""Labelling the target images by thresholds: for each setting a folder of PNGs, and a log with a line for each image.

The line is written after the image's labels are: what it names is done, and is not done again.
"""

import hashlib
import json
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from gluon_madapt.data import proxy_path
from gluon_madapt.data.files import write_png
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies import Audit, Thresholds, choose
from gluon_madapt.stages.map_cache import MapCache
from gluon_madapt.stages.progress import Progress
from gluon_madapt.stages.run import write_text
from gluon_madapt.stages.scored_maps import scored_blocks
from gluon_madapt.threads import in_threads

LABELS = "labels"
_LOG = "log.jsonl"

# Reads the label of an image by its place, (H, W) uint8 train ids; None if it has none.
Truth = Callable[[int], Optional[np.ndarray]]


class Labelling:
    """The labels of one setting, in a stage's folder.

    Parameters
    ----------
    folder : Path
        The folder.
    classes : int
        Number of classes.
    audited : bool
        Whether the labels are to be compared with the truth.

    Attributes
    ----------
    log : Path
        The log; without it, all images are to be labelled.
    """

    def __init__(self, folder: Path, classes: int, audited: bool):
        self.folder = folder
        self.log = folder / _LOG
        self._classes = classes
        self._audited = audited
        self._lock = Lock()
        self._entries: Dict[str, dict] = {}

    def restore(self) -> None:
        """Read which images are done; a line that was cut off does not count, nor one whose labels are gone."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        self._entries = {
            one["image"]: one
            for one in entries
            if self.path(one["image"]).exists() and self._audited == ("audit" in one)
        }
        write_text(self.log, "".join(json.dumps(one) + "\n" for one in self._entries.values()))

    def path(self, name: str) -> Path:
        """Return where the labels of the image called ``name`` lie."""
        return proxy_path(self.folder / LABELS, name)

    def has(self, name: str) -> bool:
        """Tell whether an image is done."""
        return name in self._entries

    def write(self, name: str, labels: np.ndarray, audit: Optional[Audit]) -> None:
        """Write the labels of an image, (H, W) uint8, then its line in the log."""
        write_png(self.path(name), labels)
        entry = {
            "image": name,
            "sha256": hashlib.sha256(labels.tobytes()).hexdigest(),
            "pixels": labels.size,
            "pixels_kept": np.bincount(labels[labels != IGNORE], minlength=self._classes).tolist(),
        }
        if audit:
            entry["audit"] = audit.counts.tolist()
        with self._lock, self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            self._entries[name] = entry

    def kept(self) -> np.ndarray:
        """Return how many pixels were labelled, by class, (L,) int64."""
        return np.sum([one["pixels_kept"] for one in self._entries.values()], axis=0, dtype=np.int64)

    def digest(self, names: Sequence[str]) -> str:
        """Return a hash of the labels of all images, in the order of their names."""
        return hashlib.sha256("".join(self._entries[name]["sha256"] for name in names).encode()).hexdigest()

    def audit(self) -> Audit:
        """Return the counts of all images."""
        total = Audit(self._classes)
        for one in self._entries.values():
            total.counts += np.array(one["audit"])
        return total


def label_all(
    cache: MapCache,
    labellings: Sequence[Labelling],
    thresholds: Sequence[Thresholds],
    threads: int,
    truth: Optional[Truth] = None,
) -> None:
    """Label what images are not done; all settings share one pass over the maps.

    Parameters
    ----------
    cache : MapCache
        The maps of all images.
    labellings : sequence of Labelling
        A setting each.
    thresholds : sequence of Thresholds
        Those of each.
    threads : int
        Images that are worked on at the same time.
    truth : Truth, optional
        What to compare the labels with, for an audit.
    """
    settings = list(zip(labellings, thresholds))

    def label(index: int) -> None:
        name = cache.names[index]
        _label_image(cache, index, [one for one in settings if not one[0].has(name)], truth)

    left = [index for index, name in enumerate(cache.names) if not all(one.has(name) for one in labellings)]
    labelled = in_threads(label, left, threads, ahead=2 * threads)
    with Progress("proxies: labels", len(cache), len(cache) - len(left)) as progress, closing(labelled):
        for _ in labelled:
            progress.one_more()


def _label_image(cache: MapCache, index: int, settings: List, truth: Optional[Truth]) -> None:
    maps, known = cache.read(index), None if truth is None else truth(index)
    labels = [np.empty(maps.size, dtype=np.uint8) for _ in settings]
    audits = [None if truth is None else Audit(len(maps.logits)) for _ in settings]
    row = 0
    for probabilities, confidence in scored_blocks(maps):
        rows = slice(row, row + len(confidence))
        for (_, thresholds), out, audit in zip(settings, labels, audits):
            choice = choose(probabilities, confidence, thresholds)
            out[rows] = choice.labels
            if known is not None:
                audit.add(known[rows], choice)
        row = rows.stop
    for (labelling, _), out, audit in zip(settings, labels, audits):
        labelling.write(cache.names[index], out, audit)
