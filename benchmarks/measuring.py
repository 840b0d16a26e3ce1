"""What the benchmarks share: two sides timed in turns, random data, networks, and what the machine can do."""

import json
import statistics
import sys
import time

import numpy as np

import gluon_madapt.models  # noqa: F401 - GluonCV then imports where there is PyTorch, too
from gluon_madapt.models import Segmenter
from gluon_madapt.models.segmenter import QuarterScores

CLASSES = 19
REPEATS = 5


def compare(sides, pairs, repeats=REPEATS):
    """Run all sides in turn; return the medians of their seconds, and those of the ratios of pairs of them.

    Parameters
    ----------
    sides : dict of str to callable
        What to time, by name.
    pairs : dict of str to (str, str)
        Two sides to divide, by the name of their ratio.
    repeats : int
        How often.
    """
    for side in sides.values():
        side()
        side()  # the first compiles, the second may still lay out weights
    seconds = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - began)
        print({name: round(values[-1], 4) for name, values in seconds.items()}, file=sys.stderr, flush=True)
    ratios = {name: statistics.median(x / y for x, y in zip(seconds[a], seconds[b])) for name, (a, b) in pairs.items()}
    return {"seconds": {name: statistics.median(values) for name, values in seconds.items()}, "ratios": ratios}


def report(**facts):
    """Print what was measured, for `bench.py` to read."""
    print(json.dumps(facts, indent=2))


def initialized(network):
    import mxnet as mx  # noqa: PLC0415 - imports once gluon_madapt has been

    mx.random.seed(1)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    return network


def new_segmenter(encoder):
    from mxnet import nd  # noqa: PLC0415

    net = initialized(Segmenter(encoder, CLASSES))
    net(nd.zeros((1, 3, 64, 64)))
    return net


def random_images(number, height, width):
    return np.random.default_rng(0).normal(size=(number, 3, height, width)).astype(np.float32)


def random_labels(number, height, width):
    return np.random.default_rng(1).integers(0, CLASSES, (number, height, width)).astype(np.float32)


def peak_rate():
    """Return the rate of a large matrix product, in GFLOP/s: what the cores can do."""
    a = np.random.default_rng(0).random((4096, 4096), dtype=np.float32)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        a @ a
        rates.append(2 * 4096**3 / (time.perf_counter() - began) / 1e9)
    return max(rates)


def convolution_gflop(net, height, width):
    """Return what the convolutions of a pass over one image cost, as they are run, in GFLOP."""
    import mxnet as mx  # noqa: PLC0415

    symbol = mx.sym.Group(list(QuarterScores(net)(mx.sym.var("images"))))
    internals = symbol.get_internals()
    _, sizes, _ = internals.infer_shape(images=(1, 3, height, width))
    shapes = dict(zip(internals.list_outputs(), sizes))
    nodes = json.loads(symbol.tojson())["nodes"]
    flop = 0
    for node in nodes:
        if node["op"] == "Convolution":
            kernel = np.prod([int(side) for side in node["attrs"]["kernel"].strip("()").split(",")])
            channels = shapes.get(nodes[node["inputs"][0][0]]["name"] + "_output", (1, 3))[1]
            flop += 2 * int(np.prod(shapes[node["name"] + "_output"])) * channels * int(kernel)
    return flop / 1e9


def wait(arrays):
    for one in arrays:
        one.wait_to_read()
