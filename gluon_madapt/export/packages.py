"""Checks the packages that an export needs beyond the project's own."""

from importlib import import_module, util

from gluon_madapt.errors import UserError

_INSTALL = "EXTRAS=cpu,dev,onnx make setup, or .venv/bin/python -m pip install -c constraints.txt -e '.[onnx]'"


def require_packages() -> None:
    """Refuse to begin without ONNX and ONNX Runtime.

    Raises
    ------
    UserError
        If one of them is missing, or of a release that MXNet's exporter does not work with.
    """
    missing = [name for name in ("onnx", "onnxruntime") if util.find_spec(name) is None]
    if missing:
        raise UserError(f"the export needs {' and '.join(missing)}, not installed here: {_INSTALL}")
    if util.find_spec("onnx.mapping") is None:  # MXNet's exporter reads it; onnx 1.19 dropped it
        version = import_module("onnx").__version__
        raise UserError(f"MXNet's exporter does not work with onnx {version}: expected 1.14 to 1.18: {_INSTALL}")
