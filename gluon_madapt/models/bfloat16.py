"""Runs a segmenter in bfloat16, on processors that have instructions for it."""

from typing import Callable, Dict, List, Optional, Tuple

import mxnet as mx
from mxnet import nd, sym
from mxnet.contrib import amp
from mxnet.gluon import HybridBlock

from gluon_madapt.models.folding import fold_batch_norms
from gluon_madapt.models.inference_graph import InferenceGraph
from gluon_madapt.models.sized_graph import sized_scores
from gluon_madapt.precision import BFLOAT16, FLOAT32, is_near


class BFloat16Graph:
    """A segmenter's ``quarter`` in bfloat16: convolutions round to 8 significant bits, and sum in float32.

    Batch norms are folded into the convolutions in float32, so that weights are rounded once.  A graph is compiled for
    each size of images; those of the last few sizes are kept.  It notices no change of the parameters: make another.

    For the first image the labels are compared with those in float32, which is used where fewer than 99 percent of them
    are the same.

    Parameters
    ----------
    plain : QuarterScores
        The graph of the segmenter that leaves scores at a quarter of the size.
    sizes : int
        For how many sizes graphs are kept.

    Attributes
    ----------
    precision : str
        "bfloat16", or "float32" where that is used.
    """

    def __init__(self, plain: HybridBlock, sizes: int = 1):
        self.precision = BFLOAT16
        self._plain, self._sizes, self._checked = plain, sizes, False
        self._float32: Optional[Callable] = None
        self._compiled: Dict[Tuple[int, ...], mx.executor.Executor] = {}

    def __call__(self, images: nd.NDArray) -> List[nd.NDArray]:
        """Return logits, feature and mid-level map of ``images``, (N, 3, H, W), float32, valid until the next call."""
        if not self._checked:
            self._check(images)
        return self._float32(images) if self._float32 else self._run(images)

    def settle(self, precision: str) -> None:
        """Use a precision whatever the first image says."""
        self._checked, self.precision = True, precision
        if precision == FLOAT32:
            self._compiled.clear()
            # Of several sizes in turn, each would be compiled again and again.
            self._float32 = InferenceGraph(self._plain) if self._sizes == 1 else self._plain

    def _run(self, images: nd.NDArray) -> List[nd.NDArray]:
        executor = self._compiled.pop(images.shape, None)
        while len(self._compiled) >= self._sizes:
            del self._compiled[next(iter(self._compiled))]
        self._compiled[images.shape] = executor or _compile(self._plain.network, images)
        return self._compiled[images.shape].forward(is_train=False, image=images)

    def _check(self, images: nd.NDArray) -> None:
        self._plain.hybridize()
        expected, found = (run(images)[0].asnumpy().argmax(axis=1) for run in (self._plain, self._run))
        near = is_near(expected, found)
        if near or self._sizes == 1:
            self._plain._clear_cached_op()
        self.settle(BFLOAT16 if near else FLOAT32)


def _compile(net, images: nd.NDArray) -> mx.executor.Executor:
    graph = sym.Group(sized_scores(net, sym.var("image", shape=images.shape)))
    nd.waitall()  # or parameters that were just set might be read half done
    values = {param.name: param.data(images.context).asnumpy() for param in net.collect_params().values()}
    graph, values = fold_batch_norms(graph, {key: values[key] for key in _inputs(graph) if key in values})
    statistics = graph.list_auxiliary_states()
    parts: Tuple[Dict[str, nd.NDArray], ...] = ({}, {})
    for key, value in values.items():
        parts[key in statistics][key] = nd.array(value, ctx=images.context)
    graph, *parts = amp.convert_model(graph, *parts, target_dtype=BFLOAT16, cast_optional_params=True)
    # For inference MXNet has oneDNN run a convolution, its ReLU and sum as one.
    return graph.bind(images.context, {**parts[0], "image": images.copy()}, grad_req="null", aux_states=parts[1])


def _inputs(graph: mx.sym.Symbol) -> List[str]:
    return [*graph.list_arguments(), *graph.list_auxiliary_states()]
