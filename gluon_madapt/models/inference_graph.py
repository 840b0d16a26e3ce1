"""The fastest graph there is for a network that does not change any more."""

import logging
from typing import List, Optional, Tuple

import numpy as np
from mxnet import nd

_log = logging.getLogger(__name__)

# MXNet's name for the graph pass that has oneDNN run a convolution, its batch norm, ReLU and sum as one.
_FUSION = "MKLDNN"
# How far, of their range, what a fused graph returns may be from what the plain one does.  Rounding explains 4e-6.
_TOLERANCE = 1e-4


class InferenceGraph:
    """What a segmenter's ``quarter`` returns, from a graph that is fused by oneDNN and laid out for one size of images.

    Images of another size have it compiled anew, so that what an image gets depends on no other image.  For the first
    image, what the fused graph returns is compared with what the plain one does, and if they differ, or the network is
    on a GPU, the plain one is used.  The graph of the last size alone is kept.

    A fused graph keeps what it has computed from the parameters, and does not notice when running statistics change:
    make another one then.

    Parameters
    ----------
    plain : QuarterScores
        The graph of the segmenter that leaves scores at a quarter of the size.
    """

    def __init__(self, plain):
        self._plain = plain
        self._plain.hybridize()
        self._fused = None
        self._shape: Optional[Tuple[int, ...]] = None
        self._checked = False

    def __call__(self, images: nd.NDArray) -> List[nd.NDArray]:
        """Return logits at a quarter of the size, feature and mid-level map of ``images``, (N, 3, H, W)."""
        if not self._checked:
            self._check(images)
        if self._fused is None:
            return self._plain(images)
        if images.shape != self._shape:
            self._compile(images.shape)
        return self._fused(images)

    def _release(self) -> None:
        """Give back the memory of the compiled graph, which holds a copy of all weights."""
        if self._fused is not None:
            # A block refers to itself: until Python's collector comes by, dozens of graphs would be kept.
            self._fused._clear_cached_op()

    def _compile(self, shape: Tuple[int, ...]) -> None:
        self._release()
        self._fused = type(self._plain)(self._plain.network)
        # Laid out for one size: otherwise it is slower than the plain one.
        self._fused.hybridize(backend=_FUSION, static_alloc=True, static_shape=True)
        self._shape = shape

    def _check(self, images: nd.NDArray) -> None:
        self._checked = True
        if images.context.device_type != "cpu":
            return
        self._compile(images.shape)
        pairs = zip(self._fused(images), self._plain(images))
        differences = [share_of_range(found.asnumpy(), expected.asnumpy()) for found, expected in pairs]
        difference = float(np.max(differences))  # not a number if one of them is none
        if not difference <= _TOLERANCE:
            self._release()
            self._fused = None
            _log.warning(
                "MXNet's fused graph differs from the plain one by %.1g of the scores' range, and is not used: "
                "the network takes some 10 percent longer",
                difference,
            )


def share_of_range(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, as a share of the range; not a number where one of them is not finite."""
    return float(np.abs(found - expected).max() / max(np.ptp(expected), np.finfo(np.float32).tiny))
