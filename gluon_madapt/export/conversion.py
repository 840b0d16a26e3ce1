"""Converts a graph of MXNet's operators to ONNX, by MXNet's own exporter."""

import logging
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import mxnet as mx
import numpy as np
import onnx
from onnx import helper, numpy_helper

from gluon_madapt.export.graph import FixedGraph

# The newest operator set that MXNet's exporter writes, and the format's version of that time: old runtimes read it.
OPSET, _IR_VERSION = 13, 7


def convert(graph: FixedGraph) -> onnx.ModelProto:
    """Convert a graph, and check it against ONNX's definitions of its operators."""
    model = _skeleton(graph)
    # The exporter states the newest operator set that the package knows, whose operators differ from what it wrote.
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = _IR_VERSION
    _insert_parameters(model.graph, graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def _skeleton(graph: FixedGraph) -> onnx.ModelProto:
    """Convert without parameters, which become inputs: the exporter takes 30 bytes for each number of a parameter."""
    shapes, _, running = graph.outputs.infer_shape()
    shape_of = dict(zip(graph.outputs.list_arguments(), shapes))
    shape_of.update(zip(graph.outputs.list_auxiliary_states(), running))
    names = graph.outputs.list_inputs()
    types = [np.uint8 if name == "image" else np.float32 for name in names]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = str(Path(folder) / "skeleton.onnx")
        mx.onnx.export_model(graph.outputs, {}, [shape_of[name] for name in names], types, path)
        return onnx.load(path)


def _insert_parameters(skeleton: onnx.GraphProto, graph: FixedGraph) -> None:
    """Replace all inputs but the image by the parameters, under the names that checkpoints use."""
    image = [one for one in skeleton.input if one.name == "image"]
    read = [graph.keys[one.name] for one in skeleton.input if one.name in graph.keys]
    del skeleton.input[:]  # among them are the exporter's own constants, which a runtime would not dare to fold
    skeleton.input.extend(image)
    skeleton.initializer.extend(numpy_helper.from_array(graph.values[key], key) for key in read)
    for node in skeleton.node:
        for place, name in enumerate(node.input):
            node.input[place] = graph.keys.get(name, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter logs, of files that are none of the user's, and warns of."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
