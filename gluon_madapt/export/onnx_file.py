"""Writes a trained model as an ONNX file, but only if the file computes what the network does."""

from pathlib import Path
from typing import Dict

import onnx

from gluon_madapt.export.check import check
from gluon_madapt.export.conversion import convert
from gluon_madapt.export.graph import fixed_graph
from gluon_madapt.export.metadata import describe
from gluon_madapt.files.atomic import replace_atomically
from gluon_madapt.runs.trained import TrainedModel


def write_onnx(trained: TrainedModel, height: int, width: int, path: Path) -> Dict[str, float]:
    """Write a model, on the CPU, as an ONNX file for images of ``height`` x ``width``; return what `check` does.

    Raises
    ------
    FailureError
        If ONNX Runtime computes something else than MXNet does; nothing is written then.
    UserError
        If the file cannot be written.
    """
    model = convert(fixed_graph(trained.net, height, width))
    describe(model, trained, height, width)
    with replace_atomically(path) as partial:
        onnx.save(model, str(partial))
        del model  # as large as the network, of which the check makes copies, too
        return check(partial, trained.net, height, width)
