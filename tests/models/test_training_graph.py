"""The graph that training differentiates: against autograd, with activations kept or computed twice."""

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd

from gluon_madapt.models import Segmenter
from gluon_madapt.models.passes import JointPass, SupervisedPass, UnlabelledPass
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.runs.networks import initialize_segmenter

CPU = mx.cpu(0)


def segmenter(encoder, devices=(CPU,), grad_req="write"):
    net = Segmenter(encoder, 5)
    initialize_segmenter(net, devices, seed=3)
    for param in net.collect_params().values():
        if param.grad_req != "null":
            param.grad_req = grad_req
    return net


def inputs(*size, labelled=True, context=CPU, seed=0):
    rng = np.random.default_rng(seed)
    images = nd.array(rng.normal(size=(size[0], 3, *size[1:])), ctx=context)
    labels = rng.choice([0, 1, 2, 3, 4, 255], size)
    return (images, nd.array(labels, ctx=context)) if labelled else (images,)


def state(net, context=CPU):
    """Return all values and gradients of a network."""
    nd.waitall()
    params = net._collect_params_with_prefix()
    values = {key: param.data(context).asnumpy() for key, param in params.items()}
    learnt = {key: param for key, param in params.items() if param.grad_req != "null"}
    return values, {key: param.grad(context).asnumpy() for key, param in learnt.items()}


def assert_same(one, other):
    for mine, theirs in zip(one, other):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            np.testing.assert_array_equal(value, theirs[key], err_msg=key)


PASSES = {
    "supervised": (SupervisedPass, True, 3),
    "features": (UnlabelledPass, False, 2),
    "joint": (JointPass, True, 5),
}


def gradients_of(outputs):
    rng = np.random.default_rng(1)
    return [nd.array(rng.normal(size=out.shape), ctx=out.context) for out in outputs]


def by_autograd(net, view, arrays, number):
    view.hybridize()
    with autograd.record():
        outputs = view(*arrays)
    autograd.backward(list(outputs), gradients_of(outputs))
    assert len(outputs) == number
    return [out.asnumpy() for out in outputs]


def arrays_of(kind, batch=2, size=(64, 96)):
    images, *labels = inputs(batch, *size, labelled=PASSES[kind][1])
    return (images, *(one[:1] if kind == "joint" else one for one in labels))


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize(
    ("encoder", "kind", "grad_req"),
    [
        *(("small", kind, grad_req) for kind in PASSES for grad_req in ("write", "add")),
        *(pytest.param(name, "supervised", "write", marks=pytest.mark.slow) for name in ("vgg16", "resnet101")),
    ],
)
def test_outputs_gradients_and_statistics_are_those_of_autograd(encoder, kind, recompute, grad_req):
    make, _, number = PASSES[kind]
    arrays = arrays_of(kind)
    one, other = segmenter(encoder, grad_req=grad_req), segmenter(encoder, grad_req=grad_req)
    graph = TrainingGraph(make(other), recompute)
    before = state(one)[0]
    for _ in range(2):
        expected = by_autograd(one, make(one), arrays, number)
        outputs = graph(*arrays)
        graph.backward(*gradients_of(outputs))
        for mine, theirs in zip(outputs, expected):
            np.testing.assert_array_equal(mine.asnumpy(), theirs)
    assert_same(state(other), state(one))
    assert any((value != before[key]).any() for key, value in state(one)[0].items())  # running statistics


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_a_graph_may_leave_running_statistics_alone(recompute):
    moving, held = segmenter("small"), segmenter("small")
    before, _ = state(held)
    for net, moves in ((moving, True), (held, False)):
        graph = TrainingGraph(SupervisedPass(net), recompute, moves_statistics=moves)
        loss, _, _ = graph(*inputs(2, 32, 32))
        graph.backward(nd.ones_like(loss), None, None)
    assert_same([state(held)[0]], [before])
    assert_same([state(held)[1]], [state(moving)[1]])


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_sizes_may_change_and_devices_take_turns(recompute):
    devices = (mx.cpu(0), mx.cpu(1))
    one, other = segmenter("small", devices, "add"), segmenter("small", devices, "add")
    graph = TrainingGraph(SupervisedPass(one), recompute)
    for seed, size in enumerate([(2, 32, 64), (1, 64, 32), (2, 32, 64), (2, 32, 64)]):
        for context in devices:
            arrays = inputs(*size, context=context, seed=seed)
            outputs = graph(*arrays)
            graph.backward(*gradients_of(outputs))
            by_autograd(other, SupervisedPass(other), arrays, 3)
    for context in devices:
        assert_same(state(one, context), state(other, context))


@pytest.mark.parametrize("sizes", [((64, 96), (32, 64)), ((32, 64), (64, 96))], ids=["smaller", "larger"])
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_two_graphs_in_one_memory_give_what_they_give_alone(recompute, sizes):
    found = []
    for shared in (True, False):
        net = segmenter("small", grad_req="add")
        labelled = TrainingGraph(SupervisedPass(net), recompute)
        features = TrainingGraph(UnlabelledPass(net), recompute, in_turn_with=labelled if shared else None)
        values = []
        for seed in range(3):
            for graph, arrays in (
                (labelled, inputs(2, *sizes[0], seed=seed)),
                (features, inputs(2, *sizes[1], labelled=False, seed=seed)),
            ):
                outputs = [out.copy() for out in graph(*arrays)]
                graph.backward(*gradients_of(outputs))
                values += [out.asnumpy() for out in outputs]
        found.append(({str(place): value for place, value in enumerate(values)}, *state(net)))
    assert_same(*found)


def test_what_is_computed_twice_goes_by_batch_norms_that_move_statistics_backward():
    """cuDNN's batch norm moves statistics whenever it goes forward, which is twice here."""
    graphs = {recompute: TrainingGraph(SupervisedPass(segmenter("small")), recompute) for recompute in (False, True)}
    for recompute, graph in graphs.items():
        nodes = json.loads(graph._trace(2).tojson(remove_amp_cast=False))["nodes"]
        norms = [node["attrs"] for node in nodes if node["op"] == "BatchNorm"]
        assert norms
        assert {attrs.get("cudnn_off", "False") for attrs in norms} == {str(recompute)}


def test_an_optimiser_sees_that_gradients_are_new():
    net = segmenter("small")
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    graph = TrainingGraph(SupervisedPass(net))
    for _ in range(2):
        before = state(net)[0]
        loss, _, _ = graph(*inputs(2, 64, 64))
        graph.backward(nd.ones_like(loss), None, None)
        trainer.step(1)
        assert all((value != before[key]).any() for key, value in state(net)[0].items() if key.endswith("weight"))


def allocated(graph):
    """Return the MB that MXNet has laid out for the last call of a graph."""
    (line,) = [line for line in graph.executor.debug_str().splitlines() if line.endswith("MB allocated")]
    return float(line.split()[1])


@pytest.mark.slow
def test_computing_twice_takes_at_most_half_of_the_memory_of_resnet101():
    memory = {}
    for recompute in (False, True):
        graph = TrainingGraph(SupervisedPass(segmenter("resnet101")), recompute)
        graph(*inputs(1, 192, 256))
        memory[recompute] = allocated(graph)
        nd.waitall()
    assert memory[True] <= 0.5 * memory[False]


def test_what_was_not_called_cannot_be_differentiated():
    with pytest.raises(ValueError, match="not called yet"):
        TrainingGraph(UnlabelledPass(segmenter("small"))).backward(None, None)
