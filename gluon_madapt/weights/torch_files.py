"""Reads PyTorch's files of tensors, without executing anything that they carry."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Dict

import numpy as np

from gluon_madapt.errors import UserError

# Before it, a file could make the weights-only loader execute code (CVE-2025-32434).
_SAFE_TORCH = (2, 6)


def read_torch_file(path: Path) -> Dict[str, np.ndarray]:
    """Read the tensors of a .safetensors file, or of a .pth or .pt file, by name.

    Raises
    ------
    UserError
        If there is no such file, if it is damaged or holds more than tensors by name, or if the package that reads it
        is not installed.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file: see pretrained/README.md for where to get it")
    readers = {".safetensors": _read_safetensors, ".pth": _read_pickle, ".pt": _read_pickle}
    if path.suffix not in readers:
        raise UserError(f"{path}: expected a file of PyTorch weights, named {', '.join(readers)}")
    return readers[path.suffix](path)


def _read_safetensors(path: Path) -> Dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError  # noqa: PLC0415 - an optional dependency
        from safetensors.numpy import load_file  # noqa: PLC0415
    except ImportError:
        raise UserError(f"{path}: needs safetensors: pip install -c constraints.txt -e '.[convert]'") from None
    try:
        return load_file(str(path))
    # TypeError and KeyError: a type of numbers that NumPy does not have, such as bfloat16.
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise UserError(f"{path}: is no complete safetensors file of plain floats ({error})") from None


def _read_pickle(path: Path) -> Dict[str, np.ndarray]:
    torch = _import_torch(path)
    try:
        state = torch.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:  # on a damaged file, whatever the reader stumbles over
        raise UserError(f"{path}: {_reason(error)}") from None
    if not isinstance(state, Mapping) or not state or not all(map(torch.is_tensor, state.values())):
        raise UserError(f"{path}: expected tensors by name, a state_dict, and nothing else in it")
    return {str(key): _to_numpy(torch, tensor) for key, tensor in state.items()}


def _import_torch(path: Path):
    try:
        import torch  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise UserError(
            f"{path}: needs PyTorch: pip install -c constraints.txt -e '.[convert-pth]', or name a .safetensors file"
        ) from None
    if tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2]) < _SAFE_TORCH:
        raise UserError(
            f"{path}: PyTorch {torch.__version__} can be made to execute code by a file of weights (CVE-2025-32434): "
            "expected 2.6 or later, or a .safetensors file instead"
        )
    return torch


def _reason(error: Exception) -> str:
    """Say in one line why PyTorch refuses; its own text recommends to read the file unsafely."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return f"would execute {named.group(1)}, and is refused: expected a state_dict, with nothing but tensors in it"
    return f"is no complete file of PyTorch weights ({type(error).__name__})"


def _to_numpy(torch, tensor) -> np.ndarray:
    # NumPy has no bfloat16; float32 holds all of it.
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
