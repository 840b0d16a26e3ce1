"""Finds the thresholds t1 and t2: exact order statistics over all pixels of all images (P §2.3)."""

import itertools
from decimal import Decimal
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_madapt.proxies.histograms import NO_BIN, Bin, Counts, LowerCounts, UpperCounts, locate, value_of
from gluon_madapt.proxies.pixels import classify

# Below every confidence: all pixels are counted.
_ALL = np.float32(-1)


class Shares(NamedTuple):
    """The shares to keep: ``p1`` of all pixels by adversarial confidence, ``p2`` of each class's by its score."""

    p1: float
    p2: float


class Thresholds(NamedTuple):
    """The thresholds of a set of images, and the pixels that they were found from.

    Attributes
    ----------
    t1 : np.float32
        A pixel is looked at only if its adversarial confidence is above this.
    t2 : np.ndarray
        (L,) float32; a pixel becomes a proxy of class l only if its probability is above t2[l].
    pixels : int
        Pixels of all images.
    focused : np.ndarray
        (L,) int64; pixels above t1 by the class of their largest probability.
    ties_t1 : int
        Pixels whose adversarial confidence is t1: they fall out together.
    ties_t2 : np.ndarray
        (L,) int64; of ``focused``, those whose score is t2.
    """

    t1: np.float32
    t2: np.ndarray
    pixels: int
    focused: np.ndarray
    ties_t1: int
    ties_t2: np.ndarray


def compute_thresholds(images: Iterable[Tuple[np.ndarray, np.ndarray]], p1: float, p2: float) -> Thresholds:
    """Find t1 and t2.

    Parameters
    ----------
    images : re-iterable of (probabilities, confidence)
        For each image the class probabilities (L, H, W) and the adversarial confidence (H, W), float32; iterated over
        four times, after a look at the first.
    p1 : float
        The share of all pixels to keep by adversarial confidence.
    p2 : float
        The share to keep of each class's remaining pixels, by classification confidence.

    Returns
    -------
    Thresholds
        Of N sorted scores floor(p N) are kept, p being the decimal number that is written: the threshold is the
        (N - floor(p N))-th smallest, or the next number below the smallest if all are kept.  A class with no pixel has
        t2 = 1.

    Raises
    ------
    ValueError
        If there is no image, values are not finite or out of range (the message names the image's position), or the
        images change while they are iterated over.
    """
    first = next(iter(images), None)
    if first is None:
        raise ValueError("there are no images to compute thresholds from")
    search = ThresholdSearch([Shares(p1, p2)], len(first[0]))
    while not search.finished:
        counts = search.new_counts()
        for index, (probabilities, confidence) in enumerate(images):
            try:
                search.count(counts, confidence, probabilities)
            except ValueError as error:
                raise ValueError(f"image {index}: {error}") from None
        search.advance(counts)
    return search.thresholds[0]


class ThresholdSearch:
    """The four passes over a set of images that find the thresholds of any number of settings.

    Each pass counts all pixels, in parts if that suits; `advance` then takes the merged counts and turns to the next.
    Passes 1 and 2 find t1 by the upper and the lower bits of adversarial confidence, and read no probabilities;
    passes 3 and 4 find t2 likewise.

    Parameters
    ----------
    settings : sequence of Shares
        The settings.
    classes : int
        Number of classes, L.

    Attributes
    ----------
    passed : int
        The number of passes that are done.
    thresholds : list of Thresholds
        Of each setting, when ``finished``.
    """

    PASSES = 4

    def __init__(self, settings: Sequence[Shares], classes: int):
        for share in itertools.chain.from_iterable(settings):
            if not 0 < share <= 1:
                raise ValueError(f"p1 and p2 must be above 0 and at most 1, not {share}")
        self._settings = list(settings)
        self._classes = classes
        # Settings of one p1 share t1, and the pixels above it.
        self._p1 = list(dict.fromkeys(shares.p1 for shares in settings))
        self._set = [self._p1.index(shares.p1) for shares in settings]
        # By set and class: the ranks of the thresholds, and the upper bins that hold them.
        self._ranks: List[List[int]] = []
        self._upper: List[List[Bin]] = []
        self._t1 = np.empty(0, dtype=np.float32)
        self._ties_t1: List[int] = []
        self.passed = 0
        self.thresholds: List[Thresholds] = []

    @property
    def finished(self) -> bool:
        """Whether the thresholds are found."""
        return self.passed == self.PASSES

    @property
    def reads_probabilities(self) -> bool:
        """Whether the current pass looks at class probabilities."""
        return self.passed in (2, 3)

    def new_counts(self) -> Counts:
        """Return empty counts for a part of the set in the current pass."""
        if self.passed == 0:
            return UpperCounts(np.array([_ALL]), 1)
        if self.passed == 1:
            return LowerCounts(np.full(len(self._p1), _ALL), self._wanted())
        if self.passed == 2:
            return UpperCounts(self._t1, self._classes)
        return LowerCounts(self._t1[self._set], self._wanted())

    def count(self, counts: Counts, confidence: np.ndarray, probabilities: Optional[np.ndarray] = None) -> None:
        """Add pixels, of an image or of a part of one, to ``counts`` of the current pass.

        Parameters
        ----------
        counts : Counts
            From `new_counts`.
        confidence : np.ndarray
            Adversarial confidence, (H, W) float32.
        probabilities : np.ndarray, optional
            (L, H, W) float32; passes 1 and 2 do without.

        Raises
        ------
        ValueError
            If values are not finite or out of range, or shapes do not fit.
        """
        check_confidence(confidence)
        if not self.reads_probabilities:
            counts.add(np.zeros(confidence.shape, dtype=np.int32), confidence, confidence)
            return
        if probabilities is None:
            raise ValueError("this pass counts class probabilities, and there are none")
        if probabilities.shape != (self._classes, *confidence.shape):
            raise ValueError(
                f"probabilities of shape {probabilities.shape} do not fit {self._classes} classes and confidence of "
                f"shape {confidence.shape}"
            )
        counts.add(*classify(probabilities), confidence)

    def advance(self, counts: Counts) -> None:
        """Take the counts of the whole set in the current pass, and turn to the next.

        Raises
        ------
        ValueError
            If they are of no pixels at all, or of other pixels than those of the passes before.
        """
        if self.passed in (1, 3):
            expected = np.array([[upper.inside for upper in row] for row in self._upper])
            if not np.array_equal(counts.bins.sum(axis=2), expected):
                raise ValueError("the images are not those of the pass before: they must be the same in every pass")
        if self.passed == 0:
            self._find_t1_bins(counts.bins[0, 0])
        elif self.passed == 1:
            pairs = [self._value(bins[0], self._ranks[k][0], self._upper[k][0]) for k, bins in enumerate(counts.bins)]
            self._t1 = np.array([value for value, _ in pairs], dtype=np.float32)
            self._ties_t1 = [ties for _, ties in pairs]
        elif self.passed == 2:
            self._find_t2_bins(counts.bins)
        else:
            self.thresholds = [self._thresholds(index, bins) for index, bins in enumerate(counts.bins)]
        self.passed += 1

    def _find_t1_bins(self, counts: np.ndarray) -> None:
        self._pixels = int(counts.sum())
        if not self._pixels:
            raise ValueError("there are no images to compute thresholds from")
        self._ranks = [[_rank(self._pixels, p1)] for p1 in self._p1]
        self._upper = [[locate(counts, max(rank, 1))] for (rank,) in self._ranks]

    def _find_t2_bins(self, counts: np.ndarray) -> None:
        self._focused = counts.sum(axis=2)
        self._ranks, self._upper = [], []
        for setting, k in zip(self._settings, self._set):
            ranks = [_rank(int(number), setting.p2) for number in self._focused[k]]
            self._ranks.append(ranks)
            self._upper.append(
                [
                    locate(bins, max(rank, 1)) if bins.any() else Bin(NO_BIN, 0, 0)
                    for bins, rank in zip(counts[k], ranks)
                ]
            )

    def _thresholds(self, index: int, counts: np.ndarray) -> Thresholds:
        k = self._set[index]
        t2, ties = np.ones(self._classes, dtype=np.float32), np.zeros(self._classes, dtype=np.int64)
        for label in np.flatnonzero(self._focused[k]):
            t2[label], ties[label] = self._value(counts[label], self._ranks[index][label], self._upper[index][label])
        return Thresholds(self._t1[k], t2, self._pixels, self._focused[k], self._ties_t1[k], ties)

    def _wanted(self) -> np.ndarray:
        """Return the upper bins, (K, L) int64, in which `LowerCounts` is to count."""
        return np.array([[upper.place for upper in row] for row in self._upper], dtype=np.int64)

    @staticmethod
    def _value(counts: np.ndarray, rank: int, upper: Bin) -> Tuple[np.float32, int]:
        """Return the threshold, and how many scores are equal to it."""
        lower = locate(counts, max(rank, 1) - upper.below)
        value = value_of(upper.place, lower.place)
        return (value, lower.inside) if rank else (np.nextafter(value, np.float32(-np.inf)), 0)


def check_confidence(confidence: np.ndarray) -> None:
    """Raise a ValueError unless adversarial confidence is float32 from 0 to 1."""
    if confidence.dtype != np.float32 or not (confidence.min() >= 0 and confidence.max() <= 1):
        raise ValueError("confidence must be float32 from 0 to 1, and not NaN")


def _rank(count: int, share: float) -> int:
    """Return the rank, from 1, of the threshold among ``count`` sorted scores; 0 if all are kept."""
    return count - int(Decimal(repr(float(share))) * count)
