"""Puts off a library that MXNet imports and hardly anybody uses, until something asks for one of its names."""

import importlib
import sys
from types import ModuleType

import scipy


class _Later(ModuleType):
    """Stands for a module until one of its names is read."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def put_off_scipy_stats() -> None:
    """Have MXNet not load ``scipy.stats``, for its quantization and its own tests: half a second of every start."""
    if "scipy.stats" not in sys.modules:
        sys.modules["scipy.stats"] = vars(scipy)["stats"] = _Later("scipy.stats")
