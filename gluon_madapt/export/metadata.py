"""Describes an exported file within it: its inputs, outputs, classes and origin."""

from typing import Any, Dict

import onnx
from onnx import helper

from gluon_madapt import __version__
from gluon_madapt.data.transforms import MEAN, STD
from gluon_madapt.export.conversion import OPSET
from gluon_madapt.files.json_files import json_text
from gluon_madapt.runs.trained import TrainedModel
from gluon_madapt.system.provenance import code_version

_IMAGE = "RGB image, (1, height, width, 3) uint8, as an image reader returns it: normalisation is inside the graph"
_LOGITS = "class scores before softmax, (1, classes, height, width) float32"
_SCORES = "class scores as the network has them, (1, classes, a quarter of height, of width) float32"
_LABELS = "index of the highest score, (1, height, width) uint8; class_names in the metadata names them"


def describe(model: onnx.ModelProto, trained: TrainedModel, height: int, width: int) -> None:
    """Write into an ONNX model what it is, what goes in, what comes out and where it comes from."""
    model.producer_name, model.producer_version = "gluon_madapt", __version__
    model.doc_string = (
        f"Semantic segmentation with {len(trained.classes)} classes. Input image: {_IMAGE}. "
        f"Output logits: {_LOGITS}. Output labels: {_LABELS}. Output scores: {_SCORES}."
    )
    model.graph.name = "segmenter"
    model.graph.input[0].doc_string = _IMAGE
    for output in model.graph.output:
        output.doc_string = {"logits": _LOGITS, "labels": _LABELS, "scores": _SCORES}[output.name]
    helper.set_model_props(model, _properties(trained, height, width))


def _properties(trained: TrainedModel, height: int, width: int) -> Dict[str, str]:
    """Return the metadata: text as it is, everything else as JSON; what is not known, or None, is left out."""
    origin = trained.origin
    properties: Dict[str, Any] = {
        "class_names": list(trained.classes.names),
        "palette": trained.classes.palette.tolist(),
        "height": height,
        "width": width,
        "input_layout": "NHWC",
        "colour_order": "RGB",
        "preprocessing": "(image * scale - mean) / std, inside the graph: feed it uint8 pixels",
        "scale": "1/255",
        "mean": [round(float(value), 6) for value in MEAN],
        "std": [round(float(value), 6) for value in STD],
        "encoder": origin["encoder"],
        "stage": origin["stage"],
        "iteration": origin["iteration"],
        "seed": origin["seed"],
        "short_side": trained.short_side,
        "checkpoint_sha256": origin["checkpoint_sha256"],
        "trained_by": origin["code"],
        "exported_by": code_version(),
        "opset": OPSET,
    }
    return {
        key: value if isinstance(value, str) else json_text(value, ensure_ascii=False)
        for key, value in properties.items()
        if value is not None
    }
