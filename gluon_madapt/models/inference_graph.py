"""Compiles the fastest graph for a network whose parameters do not change any more."""

import logging
from typing import List, Optional, Tuple

import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock

from gluon_madapt.precision import FLOAT32

_log = logging.getLogger(__name__)

# MXNet's name for the graph pass that has oneDNN run a convolution, its batch norm, ReLU and sum as one.
_FUSION = "MKLDNN"
# The largest difference between the outputs of the fused and the plain graph, as a share of their range.  Rounding
# explains 4e-6.
_TOLERANCE = 1e-4


class InferenceGraph:
    """A segmenter's ``quarter`` as a graph that oneDNN fuses and lays out for one size of images.

    For another size the graph is compiled anew, so that the outputs of an image depend on no other image; only the
    graph of the last size is kept.  For the first image the outputs are compared with those of the plain graph, which
    is used where they differ, and on a GPU.

    A fused graph keeps values computed from the parameters, and does not notice when running statistics change: make
    another graph then.

    Parameters
    ----------
    plain : QuarterScores
        The graph of the segmenter that leaves scores at a quarter of the size.
    """

    precision = FLOAT32

    def __init__(self, plain: HybridBlock):
        self._plain = plain
        self._plain.hybridize()
        self._fused: Optional[HybridBlock] = None
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

    def _compile(self, shape: Tuple[int, ...]) -> HybridBlock:
        self._release()
        fused = type(self._plain)(self._plain.network)
        # Laid out for one size: otherwise it is slower than the plain graph.
        fused.hybridize(backend=_FUSION, static_alloc=True, static_shape=True)
        self._fused, self._shape = fused, shape
        return fused

    def _check(self, images: nd.NDArray) -> None:
        self._checked = True
        if images.context.device_type != "cpu":
            return
        pairs = zip(self._compile(images.shape)(images), self._plain(images))
        differences = [share_of_range(values.asnumpy(), expected.asnumpy()) for values, expected in pairs]
        difference = float(np.max(differences))  # NaN if any is
        if not difference <= _TOLERANCE:
            self._release()
            self._fused = None
            _log.warning(
                "MXNet's fused graph differs from the plain one by %.1g of the scores' range, and is not used: "
                "the network takes some 10 percent longer",
                difference,
            )


def share_of_range(values: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, as a share of the range; NaN where a value is not finite."""
    return float(np.abs(values - expected).max() / max(np.ptp(expected), np.finfo(np.float32).tiny))
