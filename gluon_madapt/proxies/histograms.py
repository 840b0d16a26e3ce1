"""Counts float32 scores from a stream, to find exact order statistics in bounded memory (P §2.3).

The bits of float32 numbers that are not negative order like the numbers.  So counts by the upper bits find the bin of
the wanted value, and in a second pass counts by the lower bits of what lies in that bin find the value itself: that of
a sort of everything, with nothing sorted and nothing sampled.  Counts of parts of a set add up to those of the whole,
in whatever order.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, Tuple

import numpy as np

from gluon_madapt.system.compiled import compiled

LOWER_BITS = 14
LOWER_BINS = 1 << LOWER_BITS
# Scores are at most 1.0, and so are the upper bits of their patterns.
UPPER_BINS = (int(np.float32(1).view(np.uint32)) >> LOWER_BITS) + 1
# A bin that no score lies in.
NO_BIN = -1


class Counts(ABC):
    """Counts of scores by set, class and bin.

    Parameters
    ----------
    limits : np.ndarray
        (K,) float32; a pixel is counted in set k if its gate is above limits[k].
    classes : int
        Number of classes, L.

    Attributes
    ----------
    bins : np.ndarray
        (K, L, B) int64.  What stays 0 is never written, and so takes no memory.
    """

    bins: np.ndarray

    def __init__(self, limits: np.ndarray, classes: int, number: int):
        self._limits = np.asarray(limits, dtype=np.float32)
        self.bins = np.zeros((len(limits), classes, number), dtype=np.int64)

    @abstractmethod
    def add(self, label: np.ndarray, score: np.ndarray, gate: np.ndarray) -> None:
        """Count pixels: their class int32, score float32 from 0 to 1, and gate float32, all of one shape."""

    def merge(self, other: "Counts") -> None:
        """Add the counts of another part of the same set."""
        self.fill(*other.sparse())

    def sparse(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return the places, in the flattened bins, of those that are not 0, and what they hold."""
        flat = self.bins.reshape(-1)
        places = np.flatnonzero(flat)
        return places, flat[places]

    def fill(self, places: np.ndarray, numbers: np.ndarray) -> None:
        """Add to the bins what `sparse` returned of others."""
        self.bins.reshape(-1)[places] += numbers


class UpperCounts(Counts):
    """Counts by the upper bits."""

    def __init__(self, limits: np.ndarray, classes: int):
        super().__init__(limits, classes, UPPER_BINS)

    def add(self, label: np.ndarray, score: np.ndarray, gate: np.ndarray) -> None:
        """Count pixels by the upper bits of their scores."""
        _count_upper(label.ravel(), _patterns(score), gate.ravel(), self._limits, self.bins)


class LowerCounts(Counts):
    """Counts by the lower bits of the scores whose upper bits are those ``wanted`` of their set and class.

    ``wanted`` is (K, L) int64, with `NO_BIN` where none is.
    """

    def __init__(self, limits: np.ndarray, wanted: np.ndarray):
        super().__init__(limits, wanted.shape[1], LOWER_BINS)
        self._wanted = wanted

    def add(self, label: np.ndarray, score: np.ndarray, gate: np.ndarray) -> None:
        """Count pixels whose upper bits are wanted, by the lower bits of their scores."""
        _count_lower(label.ravel(), _patterns(score), gate.ravel(), self._limits, self._wanted, self.bins)


class Bin(NamedTuple):
    """A bin's place, how many scores lie in it, and how many in the bins before it."""

    place: int
    inside: int
    below: int


def locate(counts: np.ndarray, rank: int) -> Bin:
    """Return the bin of ``counts``, (B,), that holds the score of ``rank``, from 1."""
    cumulative = counts.cumsum()
    place = int(np.searchsorted(cumulative, rank))
    return Bin(place, int(counts[place]), int(cumulative[place] - counts[place]))


def value_of(upper: int, lower: int) -> np.float32:
    """Return the score that has these upper and lower bits."""
    return np.uint32((upper << LOWER_BITS) | lower).view(np.float32)


def _patterns(score: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(score).ravel().view(np.int32)


@compiled
def _count_upper(label, patterns, gate, limits, bins):
    for x in range(label.shape[0]):
        upper = (patterns[x] & 0x7FFFFFFF) >> LOWER_BITS  # without the sign, which -0 has
        for k in range(limits.shape[0]):
            if gate[x] > limits[k]:
                bins[k, label[x], upper] += 1


@compiled
def _count_lower(label, patterns, gate, limits, wanted, bins):
    for x in range(label.shape[0]):
        pattern = patterns[x] & 0x7FFFFFFF
        upper = pattern >> LOWER_BITS
        for k in range(limits.shape[0]):
            if wanted[k, label[x]] == upper and gate[x] > limits[k]:
                bins[k, label[x], pattern & (LOWER_BINS - 1)] += 1
