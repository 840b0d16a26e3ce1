"""Compiles the passes that training differentiates, with the encoder's activations kept or computed twice."""

from contextlib import ExitStack
from typing import Dict, List, NamedTuple, Optional, Tuple

import mxnet as mx
from mxnet import nd, sym

from gluon_madapt.models.encoders import Encoder
from gluon_madapt.models.passes import TrainingPass
from gluon_madapt.models.running_statistics import held_statistics, statistics_moved_once


class TrainingGraph:
    """A pass through the segmenter, compiled together with its gradients, in memory that is laid out once.

    With ``recompute`` the graph keeps only what lies between the segments of the encoder, and computes the rest of its
    activations again when their gradients are due.  These are the same operators on the same inputs, so losses,
    gradients and running statistics are the same, bit for bit.  It is MXNet's mirroring, which its compiled blocks do
    not have, and which needs the symbol bound as here.

    Parameters
    ----------
    view : TrainingPass
        What to compute.  Its parameters are initialized, and each keeps its ``grad_req`` from the first call on.
    recompute : bool
        Whether to compute the encoder's activations twice.
    moves_statistics : bool
        Whether the gradients move the running statistics of batch norm.
    in_turn_with : TrainingGraph, optional
        A graph that is called and differentiated before this one is, whose memory this one then uses.
    """

    def __init__(
        self,
        view: TrainingPass,
        recompute: bool = False,
        moves_statistics: bool = True,
        in_turn_with: Optional["TrainingGraph"] = None,
    ):
        self._view = view
        self._recompute = recompute
        self._moves_statistics = moves_statistics
        self._other = in_turn_with
        self._params = view.collect_params()
        self._bound: Dict[mx.Context, _Bound] = {}
        self._last: Optional[mx.executor.Executor] = None
        self._learnt: List[nd.NDArray] = []

    def __call__(self, *inputs: nd.NDArray) -> Tuple[nd.NDArray, ...]:
        """Compute the pass on its inputs.

        The outputs stand until the next call on that device, of this graph or of one that uses the same memory.
        """
        context, shapes = inputs[0].context, tuple(one.shape for one in inputs)
        bound = self._bound.get(context)
        if bound is None or bound.shapes != shapes:
            self._bound.pop(context, None)  # the memory of another size
            bound = self._bound[context] = self._bind(context, shapes)
        self._last, self._learnt = bound.executor, bound.learnt
        return tuple(bound.executor.forward(is_train=True, **dict(zip(_names(inputs), inputs))))

    @property
    def executor(self) -> mx.executor.Executor:
        """What MXNet has compiled for the last call.

        Raises
        ------
        ValueError
            If there was no call yet.
        """
        if self._last is None:
            raise ValueError("the pass was not called yet: expected a call before each backward pass")
        return self._last

    def backward(self, *gradients: Optional[nd.NDArray]) -> None:
        """Differentiate the last call by its outputs, whose ``gradients`` are in their order; None is zero."""
        outputs = self.executor.outputs
        self.executor.backward([nd.zeros_like(out) if one is None else one for out, one in zip(outputs, gradients)])
        for data in self._learnt:
            data._fresh_grad = True  # as autograd says it: the optimiser passes over what has no new gradient

    def _bind(self, context: mx.Context, shapes: Tuple[Tuple[int, ...], ...]) -> "_Bound":
        """Lay out the graph on a device, with the arrays of the parameters themselves."""
        graph = self._trace(len(shapes))
        data = {name: self._params[name].data(context) for name in graph.list_arguments() if name in self._params}
        learnt = [name for name in data if self._params[name].grad_req != "null"]
        arguments = {name: nd.zeros(shape, ctx=context) for name, shape in zip(_names(shapes), shapes)}
        other = self._other._bound.get(context) if self._other else None
        executor = graph.bind(
            context,
            dict(arguments, **data),
            args_grad={name: self._params[name].grad(context) for name in learnt},
            grad_req={name: self._params[name].grad_req if name in learnt else "null" for name in (*arguments, *data)},
            aux_states={name: self._params[name].data(context) for name in graph.list_auxiliary_states()},
            shared_exec=other.executor if other else None,
        )
        return _Bound(executor, shapes, [data[name] for name in learnt])

    def _trace(self, inputs: int) -> sym.Symbol:
        images, *labels = (sym.var(name) for name in _names(range(inputs)))
        network = self._view.network
        with ExitStack() as stack:
            if not self._moves_statistics:
                stack.enter_context(held_statistics(network))
            if self._recompute:
                stack.enter_context(statistics_moved_once(network))
                maps = _recomputed(network.encode, images)
            else:
                maps = network.encode(images)
            return sym.Group(list(self._view.after_encoder(sym, maps, images, *labels)))


class _Bound(NamedTuple):
    """A graph on a device: for inputs of which shapes, and the parameters that learn by it."""

    executor: mx.executor.Executor
    shapes: Tuple[Tuple[int, ...], ...]
    learnt: List[nd.NDArray]


def _names(inputs) -> Tuple[str, ...]:
    return tuple(f"input{place}" for place, _ in enumerate(inputs))


def _recomputed(encoder: Encoder, x: sym.Symbol) -> Tuple[sym.Symbol, ...]:
    """Trace an encoder of whose activations the graph keeps those between its segments alone."""
    maps = []
    for segment in encoder.segments:
        with mx.AttrScope(force_mirroring="True"):
            for block in segment:
                x = block(x)
        x = sym.identity(x)  # outside the scope, and so kept
        maps.append(x)
    return encoder.ends_of(maps)
