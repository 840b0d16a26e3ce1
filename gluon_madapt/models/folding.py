"""Folds batch norms into the convolutions before them, for a network that does not learn any more."""

import json
from collections import Counter
from typing import Dict, List, Tuple

import mxnet as mx
import numpy as np

Values = Dict[str, np.ndarray]


def fold_batch_norms(graph: mx.sym.Symbol, values: Values) -> Tuple[mx.sym.Symbol, Values]:
    """Return a graph without the batch norms that follow a convolution of their own, and the values it computes with.

    Parameters
    ----------
    graph : Symbol
        A graph of convolutions of NCHW maps, of any other operators, and of batch norms that use running statistics.
    values : dict of str to np.ndarray
        Parameters and running statistics, float32, by name; they stay as they are.
    """
    described = json.loads(graph.tojson(remove_amp_cast=False))  # which MXNet leaves memory behind to remove
    nodes, values, folded = described["nodes"], dict(values), {}
    uses = Counter(place for node in nodes for place, *_ in node["inputs"])
    uses.update(place for place, *_ in described["heads"])

    def name(entry: List[int]) -> str:
        return nodes[entry[0]]["name"]

    for place, node in enumerate(nodes):
        if node["op"] != "BatchNorm":
            continue
        before = node["inputs"][0][0]
        convolution = nodes[before]
        own = (before, *(entry[0] for entry in convolution["inputs"][1:]))
        if convolution["op"] != "Convolution" or any(uses[one] > 1 for one in own):
            continue
        gamma, beta, mean, variance = (values[name(entry)] for entry in node["inputs"][1:5])
        scale = 1 / np.sqrt(variance + np.float32(node["attrs"].get("eps", 1e-3)))
        if node["attrs"].get("fix_gamma", "True") not in ("True", "1"):
            scale *= gamma
        shift = beta - mean * scale
        weight = name(convolution["inputs"][1])
        values[weight] = values[weight] * scale[:, None, None, None]
        if len(convolution["inputs"]) > 2:
            shift += values[name(convolution["inputs"][2])] * scale
        else:
            convolution["inputs"].append(node["inputs"][2])
            convolution["attrs"]["no_bias"] = "False"
        values[name(convolution["inputs"][2])] = shift
        folded[place] = before
    for entries in (*(node["inputs"] for node in nodes), described["heads"]):
        for entry in entries:
            entry[0] = folded.get(entry[0], entry[0])
    graph = mx.sym.load_json(json.dumps(described))
    names = {*graph.list_arguments(), *graph.list_auxiliary_states()}
    return graph, {key: value for key, value in values.items() if key in names}
