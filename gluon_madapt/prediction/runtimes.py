"""Runs exported files: by OpenVINO where it is installed, or by ONNX Runtime; neither needs MXNet."""

import logging
from importlib import import_module, util
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.names import utf8_path
from gluon_madapt.precision import BFLOAT16, FLOAT32
from gluon_madapt.system.threads import cores

_log = logging.getLogger(__name__)

_INSTALL = ".venv/bin/python -m pip install -c constraints.txt -e '.[openvino]', or '.[onnx]' for ONNX Runtime"


class OnnxRuntime:
    """An exported file in ONNX Runtime.

    Attributes
    ----------
    name : str
        The runtime and its version.
    facts : dict of str to str
        The file's metadata.
    outputs : tuple of str
        What it can compute.
    """

    def __init__(self, path: Path):
        import onnxruntime  # noqa: PLC0415 - which may be missing

        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        self._only_this = onnxruntime.RunOptions()
        self._only_this.only_execute_path_to_fetches = True
        with utf8_path(path) as name:
            self._session = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
        self.facts: Dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def scores(self, image: np.ndarray, precision: str) -> np.ndarray:
        """Return the class scores of an image, (H, W, 3) uint8 RGB: (L, h, w) float32."""
        assert precision == FLOAT32
        return self._session.run(["scores"], {"image": image[None]}, self._only_this)[0][0]


class OpenVino:
    """An exported file in OpenVINO, compiled for each precision on its first image; attributes as of `OnnxRuntime`."""

    def __init__(self, path: Path):
        import openvino  # noqa: PLC0415 - which may be missing

        self.name = f"OpenVINO {openvino.__version__.split('-')[0]}"
        self._core = openvino.Core()
        with utf8_path(path) as name:
            self._model = self._core.read_model(name)
        about = self._model.get_rt_info()
        found = about["framework"] if "framework" in list(about) else {}
        self.facts: Dict[str, str] = {key: str(any_.value) for key, any_ in found.items()}
        self.outputs = tuple(output.get_any_name() for output in self._model.outputs)
        self._compiled: Dict[str, Any] = {}
        if "scores" in self.outputs:  # nothing else is computed
            self._model = openvino.Model([self._model.output("scores")], self._model.get_parameters())

    def scores(self, image: np.ndarray, precision: str) -> np.ndarray:
        """Return what `OnnxRuntime.scores` does, computed in a precision."""
        if precision not in self._compiled:
            hints = {
                "INFERENCE_PRECISION_HINT": {FLOAT32: "f32", BFLOAT16: "bf16"}[precision],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": cores(),
            }
            self._compiled[precision] = self._core.compile_model(self._model, "CPU", hints)
        return self._compiled[precision](image[None])[0][0].copy()

    def drop(self, precision: str) -> None:
        """Give back what was compiled for a precision, with its copy of the weights."""
        self._compiled.pop(precision, None)


def open_exported(path: Path):
    """Open an exported file in the fastest runtime that is installed.

    Raises
    ------
    UserError
        If none is, or the file is damaged or was not written by tools/export_onnx.py.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file: expected a file of tools/export_onnx.py")
    kinds = [kind for package, kind in _RUNTIMES if _imports(package)]
    if not kinds:
        raise UserError(f"{path}: runs in OpenVINO or ONNX Runtime, and neither is installed here: {_INSTALL}")
    try:
        runtime = kinds[0](path)
    except Exception as error:  # of many kinds, none of which a library promises
        raise UserError(f"{path}: is no complete ONNX file, or cannot be run ({last_line(error)})") from None
    if not {"class_names", "palette", "encoder"} <= runtime.facts.keys():
        raise UserError(f"{path}: does not say what its classes are: expected a file of tools/export_onnx.py")
    if "scores" not in runtime.outputs:
        raise UserError(f"{path}: was exported by an earlier version, without scores: export it again")
    return runtime


def _imports(package: str) -> bool:
    if util.find_spec(package) is None:
        return False
    try:
        import_module(package)
    except ImportError as error:  # a library of the system that it links, say
        _log.warning("warning: %s is installed and does not import: %s", package, last_line(error))
        return False
    return True


def last_line(error: Exception) -> str:
    """Return the last line of what an error says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


_RUNTIMES: Tuple[Tuple[str, type], ...] = (("openvino", OpenVino), ("onnxruntime", OnnxRuntime))
