"""Compiles loops over pixels to machine code."""

from typing import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compile a function with Numba on its first call, and keep the machine code for later processes.

    It runs without Python's lock, so that threads share the cores.  Floating-point arithmetic is IEEE's, operation by
    operation: no reordering and no fused multiply-add, so results are the same on every processor.  A compiled function
    calls only those of its own file: Numba would not notice that one elsewhere has changed.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written: compile in each process
        return njit(nogil=True, error_model="numpy")(function)
