"""Labels the target images by thresholds: for each setting a folder of PNGs, and a log with a line for each image.

The line is written after the labels: an image that has one is done, and is not labelled again.
"""

import hashlib
import logging
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Dict, Iterable, List, Sequence, Tuple

import numpy as np

from gluon_madapt.data import proxy_path
from gluon_madapt.data.image_files import write_png
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import json_text, read_log, write_text
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies import Thresholds, choose
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.scored_maps import scored_blocks
from gluon_madapt.proxy_maps.written_labels import labels_hash, stored_hashes
from gluon_madapt.run_layout import LOG, PROXY_LABELS
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)


class Labelling:
    """The labels of one setting, in a stage's folder.

    Parameters
    ----------
    folder : Path
        The folder.
    names : sequence of str
        Of all images, in their order.
    classes : int
        Number of classes.

    Attributes
    ----------
    log : Path
        The log; without it, all images are to be labelled.
    names : sequence of str
        As given.
    """

    def __init__(self, folder: Path, names: Sequence[str], classes: int):
        self.folder = folder
        self.log = folder / LOG
        self.names = names
        self._classes = classes
        self._lock = Lock()
        self._entries: Dict[str, dict] = {}

    def restore(self) -> None:
        """Read which images are done; a line that was cut off does not count, nor one whose labels are gone."""
        self._entries = {name: entry for name, entry in self._logged().items() if self.path(name).exists()}
        self._write_log(self._entries)

    def _logged(self) -> Dict[str, dict]:
        entries = (entry for entry in read_log(self.log) if {"image", "sha256", "pixels_kept"} <= entry.keys())
        return {entry["image"]: entry for entry in entries}

    def altered(self) -> List[Path]:
        """Return the label files that hold something else than was written; not those that are gone."""
        logged = {name: entry for name, entry in self._logged().items() if self.path(name).exists()}
        paths, entries = [self.path(name) for name in logged], list(logged.values())
        hashes = stored_hashes(paths, entries)
        return [path for path, entry, labels in zip(paths, entries, hashes) if labels != entry["sha256"]]

    def set_altered_aside(self) -> None:
        """Rename the label files that hold something else than was written, for their images to be labelled anew."""
        for path in self.altered():
            aside = path.with_name(f"{path.name}.altered")
            _log.warning("%s: was altered after it was written: it is now called %s, and made anew", path, aside.name)
            path.replace(aside)

    def check(self, digest: str, command: str) -> None:
        """Refuse label files of which not all hold what was written.

        Parameters
        ----------
        digest : str
            What `digest` was when all labels were written.
        command : str
            What makes them anew, for the message.
        """
        logged, altered = self._logged(), self.altered()
        if altered:
            raise UserError(
                f"{altered[0]}: was altered after stage 3 had written it ({len(altered)} such in all): put it back, or "
                f"make the labels anew with {command}"
            )
        hashes = stored_hashes([self.path(name) for name in self.names], [logged.get(name, {}) for name in self.names])
        if _joint(labels or "" for labels in hashes) != digest:
            raise UserError(
                f"{self.folder / PROXY_LABELS}: holds other labels than stage 3 has made, or of other images: "
                f"make them anew with {command} --fresh"
            )

    def path(self, name: str) -> Path:
        """Return where the labels of the image called ``name`` lie."""
        return proxy_path(self.folder / PROXY_LABELS, name)

    def has(self, name: str) -> bool:
        """Tell whether an image is done."""
        return name in self._entries

    def write(self, name: str, labels: np.ndarray) -> None:
        """Write the labels of an image, (H, W) uint8, then its line in the log.

        Raises
        ------
        UserError
            If they cannot be written, for want of space or of permission.
        """
        write_png(self.path(name), labels)
        kept = np.bincount(labels[labels != IGNORE], minlength=self._classes).tolist()
        hashes = {"sha256": labels_hash(labels), "file_sha256": sha256(self.path(name))}
        entry = {"image": name, **hashes, "pixels_kept": kept}
        try:
            with self._lock, self.log.open("a", encoding="utf-8") as file:
                file.write(json_text(entry) + "\n")
                self._entries[name] = entry
        except OSError as error:
            raise UserError(f"{self.log}: cannot be written ({error.strerror})") from None

    def finish(self) -> None:
        """Put the lines of the log, which come as images are done, in the order of the images."""
        self._write_log(self.names)

    def kept(self) -> np.ndarray:
        """Return how many pixels were labelled, by class, (L,) int64."""
        return np.sum([entry["pixels_kept"] for entry in self._entries.values()], axis=0, dtype=np.int64)

    def digest(self) -> str:
        """Return a hash of the labels of all images, in their order."""
        return _joint(self._entries[name]["sha256"] for name in self.names)

    def agrees(self, name: str, labels: np.ndarray) -> bool:
        """Tell whether these are the labels that were written of an image."""
        return self._entries[name]["sha256"] == labels_hash(labels)

    def _write_log(self, names: Iterable[str]) -> None:
        write_text(self.log, "".join(json_text(self._entries[name]) + "\n" for name in names))


def label_all(cache: MapCache, labellings: Sequence[Labelling], thresholds: Sequence[Thresholds], threads: int) -> None:
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
    """
    settings = list(zip(labellings, thresholds))

    def label(index: int) -> None:
        _label_image(cache, index, [one for one in settings if not one[0].has(cache.names[index])])

    left = [index for index, name in enumerate(cache.names) if not all(labelling.has(name) for labelling in labellings)]
    labelled = in_threads(label, left, threads, ahead=2 * threads)
    with Progress("proxies: labels", len(cache), len(cache) - len(left)) as progress, closing(labelled):
        for _ in labelled:
            progress.one_more()
    for labelling in labellings:
        labelling.finish()


def _label_image(cache: MapCache, index: int, settings: List[Tuple[Labelling, Thresholds]]) -> None:
    maps = cache.read(index)
    labels = [np.empty(maps.size, dtype=np.uint8) for _ in settings]
    for rows, probabilities, confidence in scored_blocks(maps):
        for (_, thresholds), out in zip(settings, labels):
            out[rows] = choose(probabilities, confidence, thresholds).labels
    for (labelling, _), out in zip(settings, labels):
        labelling.write(cache.names[index], out)


def _joint(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
