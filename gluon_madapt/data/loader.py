"""Prepares batches in a few threads, ahead of the network."""

import logging
import zlib
from contextlib import closing
from functools import lru_cache
from typing import Generator, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from gluon_madapt.config import Input
from gluon_madapt.data.datasets import Dataset
from gluon_madapt.data.transforms import normalize, transform
from gluon_madapt.errors import UserError
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)

# Batches that are being prepared while the network works on one.
_AHEAD = 4

# Keep the draws for the order apart from those for augmentation.
_ORDER, _AUGMENTATION = 0, 1


class Batch(NamedTuple):
    """``images`` (N, 3, H, W) float32, normalised; ``labels`` (N, H, W) uint8 train ids or None; the samples' names.

    ``replaced`` names broken samples whose place others take.
    """

    images: np.ndarray
    labels: Optional[np.ndarray]
    names: Tuple[str, ...]
    replaced: Tuple[str, ...] = ()


def every_batch(batches: Sequence) -> Iterator[Batch]:
    """Yield the batches of a sequence of batches, or of sequences of them."""
    for item in batches:
        if isinstance(item, Batch):
            yield item
        else:
            yield from every_batch(item)


class _Sample(NamedTuple):
    """An image and its label, and the names of broken samples whose place they take."""

    image: np.ndarray
    label: Optional[np.ndarray]
    name: str
    broken: Tuple[str, ...] = ()


class Loader:
    """The batches of one domain in one stage.

    Which samples an iteration has, and how each is augmented, is a function of seed, stream, iteration and place in the
    iteration alone: not of the threads' timing, nor of what was read before, nor of how the iteration is divided into
    batches and these over processes.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    settings : Input
        Resizing and augmentation.
    batch_size : int
        Samples in a batch.
    batches_per_iteration : int
        Batches in an iteration, over all processes that train together.
    own : range, optional
        Which of these this process reads; all by default.
    seed : int
        The experiment's seed.
    stream : str
        Names the stage and the domain, so that each has randomness of its own.
    labelled : bool
        Whether to read the labels.
    threads : int
        Threads that prepare samples.
    replace_broken : bool
        Whether the next sample takes the place of a sample that cannot be read; otherwise that is an error.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Input,
        *,
        batch_size: int,
        seed: int,
        stream: str,
        labelled: bool,
        threads: int = 2,
        batches_per_iteration: int = 1,
        own: Optional[range] = None,
        replace_broken: bool = False,
    ):
        self.dataset = dataset
        self._settings = settings
        self._batch_size = batch_size
        self._seed = (seed, zlib.crc32(stream.encode()))
        self._labelled = labelled
        self._threads = threads
        self.images_per_iteration = batch_size * batches_per_iteration
        self._own = range(batches_per_iteration) if own is None else own
        self._replace_broken = replace_broken
        self._known_broken: Set[str] = set()
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def batches(self, start: int, stop: int) -> Generator[Batch, None, None]:
        """Yield this process's batches of iterations ``start`` to ``stop - 1``, one by one."""
        iterations, slots = range(start, stop), range(self._batch_size)  # never lists: there may be 1e9 of them
        places = (
            (iteration, number * self._batch_size + slot)
            for iteration in iterations
            for number in self._own
            for slot in slots
        )
        samples = in_threads(self._sample, places, self._threads, ahead=_AHEAD * self._batch_size)
        with closing(samples):
            for _ in range(len(iterations) * len(self._own)):
                yield self._collate([next(samples) for _ in slots])

    def iterations(self, start: int, stop: int) -> Iterator[List[Batch]]:
        """Yield the batches of each of the iterations ``start`` to ``stop - 1``."""
        with closing(self.batches(start, stop)) as batches:
            for _ in range(start, stop):
                yield [next(batches) for _ in self._own]

    def _sample(self, place: Tuple[int, int]) -> _Sample:
        iteration, slot = place
        epoch, position = divmod(iteration * self.images_per_iteration + slot, len(self.dataset))
        sample = self._readable(self._order(epoch), position)
        rng = np.random.default_rng((*self._seed, _AUGMENTATION, iteration, slot))
        image, label = transform(sample.image, sample.label, self._settings, rng)
        return sample._replace(image=normalize(image), label=label)

    def _readable(self, order: np.ndarray, position: int) -> _Sample:
        """Read the sample at a position of an epoch's order, or the next that can be read."""
        broken: List[str] = []
        while True:
            index = int(order[(position + len(broken)) % len(order)])
            try:
                return self._read(index)._replace(broken=tuple(broken))
            except UserError as error:
                broken.append(self.dataset.samples[index].name)
                if not self._replace_broken:
                    raise
                if len(broken) == len(order):
                    raise UserError(f"{error}: and so it is with all {len(order)} samples") from None
                if broken[-1] not in self._known_broken:
                    self._known_broken.add(broken[-1])
                    _log.warning("%s: the next sample takes its place", error)

    def _read(self, index: int) -> _Sample:
        image = self.dataset.image(index)
        label = self.dataset.label(index) if self._labelled else None
        name = self.dataset.samples[index].name
        if label is not None and label.shape != image.shape[:2]:
            raise UserError(
                f"{name}: the image is {_size(image)}, its label {_size(label)}: expected one size (width x height)"
            )
        return _Sample(image, label, name)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((*self._seed, _ORDER, epoch)).permutation(len(self.dataset))

    @staticmethod
    def _collate(samples: Sequence[_Sample]) -> Batch:
        names = tuple(sample.name for sample in samples)
        if len({sample.image.shape for sample in samples}) > 1:
            raise UserError(
                f"{', '.join(names)}: these images of one batch differ in size after resizing: "
                "set a crop or a size for this input, or a batch of 1"
            )
        labels = [sample.label for sample in samples if sample.label is not None]
        replaced = tuple(name for sample in samples for name in sample.broken)
        images = np.stack([sample.image for sample in samples])
        return Batch(images, np.stack(labels) if labels else None, names, replaced)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
