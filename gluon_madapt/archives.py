"""NumPy archives (.npz) of arrays alone: written without a fuss when the disk is full, read without unpickling."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Callable, Dict, List

import numpy as np

# What NumPy and zipfile raise when the bytes of an archive were altered: a RuntimeError, or zlib's, if what changed is
# a flag for encryption or the kind of compression, neither of which is ever used here; a SyntaxError, or the
# tokenizer's, in the text that says an array's shape; a MemoryError if the shape became a large one.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


class DamagedArchiveError(ValueError):
    """The file is missing, is no archive, or was cut off or altered; the message says in one line what came of it."""


def write_archive(file: BinaryIO, arrays: Dict[str, np.ndarray]) -> None:
    """Write an archive like `numpy.savez`, whose own, on a full disk, goes on to complain after the error."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_archive(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Dict[str, np.ndarray]:
    """Read the arrays of an archive whose names are wanted.

    Raises
    ------
    DamagedArchiveError
        If the file cannot be read as one; each array's bytes are compared with a checksum.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive" if path.exists() else "no such file")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if wanted(name)}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("an entry is no array")  # NumPy returns the bytes of what does not begin as one
        return arrays
    except _DAMAGED as error:
        raise DamagedArchiveError(" ".join(str(error).split()) or type(error).__name__) from None


def array_names(path: Path) -> List[str]:
    """Return the names of the arrays in an archive; errors as in `read_archive`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[: -len(".npy")] for name in archive.namelist()]
    except _DAMAGED as error:
        raise DamagedArchiveError(" ".join(str(error).split()) or type(error).__name__) from None
