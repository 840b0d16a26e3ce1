"""Searches the thresholds of any number of settings in four passes over the stored maps of all images.

The counts are saved now and then, and an interrupted search continues from them.  They are whole numbers: the result is
the same to the last bit, whatever the interruptions and the number of threads.
"""

import hashlib
import json
import platform
import time
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import List, Sequence, Tuple

import numpy as np

from gluon_madapt.errors import FailureError
from gluon_madapt.files.archives import DamagedArchiveError, read_archive, write_archive
from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.proxies import Shares, Thresholds, ThresholdSearch
from gluon_madapt.proxies.histograms import Counts
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.scored_maps import confidence_of, scored_blocks
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.provenance import code_version
from gluon_madapt.system.threads import in_threads

# Counts that are not 0: their places, and what they are.
_Sparse = Tuple[np.ndarray, np.ndarray]

# Images between two points at which the counts of all threads are put together, and may be saved.
CHUNK = 64
SECONDS_BETWEEN_SAVES = 5.0


def find_thresholds(
    cache: MapCache, settings: Sequence[Shares], classes: int, threads: int, saved: "SavedSearch"
) -> List[Thresholds]:
    """Find the thresholds of each setting over all images.

    Parameters
    ----------
    cache : MapCache
        The maps of all images.
    settings : sequence of Shares
        They share the four passes.
    classes : int
        Number of classes.
    threads : int
        Images that are worked on at the same time.
    saved : SavedSearch
        Where to continue, and to save what was counted.

    Raises
    ------
    FailureError
        If the maps of an image hold values that are not finite or out of range; it is named.
    UserError
        If a stored map is damaged.
    """
    search = ThresholdSearch(settings, classes)
    passes, done = saved.load()
    for sparse in passes[:-1]:
        search.advance(_filled(search, sparse))
    counts = _filled(search, passes.pop()) if passes else search.new_counts()
    while True:
        title = f"proxies: thresholds, pass {search.passed + 1} of {search.PASSES}"
        with Progress(title, len(cache), done) as progress:
            for begin in range(done, len(cache), CHUNK):
                done = min(begin + CHUNK, len(cache))
                _count(search, counts, cache, range(begin, done), threads, progress)
                if done == len(cache) or time.monotonic() - saved.written > SECONDS_BETWEEN_SAVES:
                    saved.write([*passes, counts.sparse()], done)
        passes.append(counts.sparse())
        try:
            search.advance(counts)
        except ValueError as error:
            raise FailureError(f"{cache.folder}: {error}: run it again, and leave the maps alone") from None
        if search.finished:
            return search.thresholds
        counts, done = search.new_counts(), 0


def _count(
    search: ThresholdSearch, total: Counts, cache: MapCache, places: range, threads: int, progress: Progress
) -> None:
    """Add some images to the counts of the current pass; each thread has counts of its own until the end."""
    free: SimpleQueue = SimpleQueue()

    def count(index: int) -> None:
        try:
            counts = free.get_nowait()
        except Empty:
            counts = search.new_counts()
        maps = cache.read(index, logits=search.reads_probabilities)
        try:
            if search.reads_probabilities:
                for _, probabilities, confidence in scored_blocks(maps):
                    search.count(counts, confidence, probabilities)
            else:
                search.count(counts, confidence_of(maps))
        except ValueError as error:
            raise FailureError(f"{cache.names[index]}: {error}") from None
        free.put(counts)

    with closing(in_threads(count, places, threads, ahead=2 * threads)) as done:
        for _ in done:
            progress.one_more()
    while not free.empty():
        total.merge(free.get())


def _filled(search: ThresholdSearch, sparse: _Sparse) -> Counts:
    counts = search.new_counts()
    counts.fill(*sparse)
    return counts


class SavedSearch:
    """What a search has counted, on disk: the passes that are done, and of the current one so many images.

    Parameters
    ----------
    path : Path
        The file.
    cache : MapCache
        The maps that are counted.
    settings : sequence of Shares
        What is searched for.  A file of other maps (told by the times and sizes of their files) or settings, by other
        code, or damaged, counts for nothing.
    """

    def __init__(self, path: Path, cache: MapCache, settings: Sequence[Shares]):
        self.path = path
        self.written = time.monotonic()
        self._images = len(cache)
        code = [code_version(), np.__version__, platform.node()]  # another machine may round otherwise
        facts = json.dumps([cache.identity, cache.state(), code, [list(shares) for shares in settings]])
        self._mark = np.frombuffer(hashlib.sha256(facts.encode()).digest(), dtype=np.uint8)

    @property
    def finished(self) -> bool:
        """Whether all passes over all images are there."""
        passes, done = self.load()
        return len(passes) == ThresholdSearch.PASSES and done == self._images

    def load(self) -> Tuple[List[_Sparse], int]:
        """Return the counts of each pass, and how many images the last one has seen; none and 0 if there are none."""
        try:
            stored = read_archive(self.path)
            if not np.array_equal(stored["mark"], self._mark):
                return [], 0
            number, done = stored["state"].tolist()
            return [(stored[f"places{i}"], stored[f"numbers{i}"]) for i in range(number)], done
        except (DamagedArchiveError, KeyError):
            return [], 0

    def write(self, passes: Sequence[_Sparse], done: int) -> None:
        """Save the counts of each pass, the last of which has seen ``done`` images."""
        arrays = {f"places{i}": places for i, (places, _) in enumerate(passes)}
        arrays.update({f"numbers{i}": numbers for i, (_, numbers) in enumerate(passes)})
        with write_atomically(self.path) as file:
            write_archive(file, {"mark": self._mark, "state": np.array([len(passes), done]), **arrays})
        self.written = time.monotonic()
