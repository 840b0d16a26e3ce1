"""Imports GluonCV, which refuses to be imported where it finds PyTorch 2, though nothing here needs both in it."""

import importlib
import sys


class _NoTorch:
    """An import hook that hides PyTorch.  None in sys.modules would hide it, too, but SciPy trips on that."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Refuse PyTorch, and leave every other module to the usual finders."""
        if name == "torch":
            raise ModuleNotFoundError("PyTorch is hidden from GluonCV", name=name)


_torch = sys.modules.pop("torch", None)
sys.meta_path.insert(0, _NoTorch)
try:
    importlib.import_module("gluoncv")
finally:
    sys.meta_path.remove(_NoTorch)
    if _torch is not None:
        sys.modules["torch"] = _torch
