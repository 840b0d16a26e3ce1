"""Measures which share of F's gradient comes from the discriminators, on single iterations."""

from typing import Iterable, List, Optional

import mxnet as mx
from mxnet import nd
from mxnet.gluon import Parameter

from gluon_madapt.training.distributed import Losses

# In place of a sum of norms of 0, where nothing teaches F.
_LEAST = 1e-30


class GradientShare:
    """The share a / (a + s) of the adversary in the gradient of F, of one part of an iteration.

    s is the Euclidean norm, over all parameters of F, of what the source pass adds to their gradients, that of the
    segmentation loss times lambda_seg; a is the norm of what the target pass adds, that of the adversarial terms times
    λ1 and λ2.  Gradients are copied between the two passes and compared: training is the same, bit for bit, with and
    without.  It takes the memory of F's gradients once more, and so is for the iterations that are logged.

    Parameters
    ----------
    params : iterable of Parameter
        Those of F; gradients of an iteration add up.

    Attributes
    ----------
    measured : dict of str to NDArray
        ``adversary_share``, (1,), from 0 to 1, if it was measured; else nothing.
    """

    def __init__(self, params: Iterable[Parameter]):
        self._params = [param for param in params if param.grad_req != "null"]
        self._wanted = False
        self._before: Optional[List[nd.NDArray]] = None
        self.measured: Losses = {}

    def begin(self, wanted: bool) -> None:
        """Begin an iteration, its gradients cleared; ``wanted`` says whether to measure its first part."""
        self._wanted, self._before, self.measured = wanted, None, {}

    def after_source(self, context: mx.Context) -> None:
        """Note the gradients on a device after the source pass."""
        if self._wanted:
            self._before = [param.grad(context).copy() for param in self._params]
            self._wanted = False

    def after_target(self, context: mx.Context) -> None:
        """Compare the gradients after the target pass with those before it."""
        if self._before is None:
            return
        added = [param.grad(context) - before for param, before in zip(self._params, self._before)]
        adversary, segmentation = _norm(added), _norm(self._before)
        self.measured = {"adversary_share": adversary / nd.maximum(adversary + segmentation, _LEAST)}
        self._before = None


def _norm(arrays: List[nd.NDArray]) -> nd.NDArray:
    return nd.sqrt(nd.add_n(*(nd.sum(nd.square(array)) for array in arrays)))
