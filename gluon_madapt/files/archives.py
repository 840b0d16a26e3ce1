"""Reads and writes NumPy archives (.npz) of arrays, each with the SHA-256 of itself at its end; unpickles nothing.

The checksums of a zip file are not enough: where an altered directory says that an array is longer than it is, they are
never compared.
"""

import hashlib
import os
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
_DIGEST_BYTES = 64


class DamagedArchiveError(ValueError):
    """A file that is missing, no archive, cut off or altered; the message says in one line which."""

    @classmethod
    def of(cls, error: Exception) -> "DamagedArchiveError":
        """Return an error with the message of another one, on one line."""
        return cls(" ".join(str(error).split()) or type(error).__name__)


def write_archive(file: BinaryIO, arrays: Dict[str, np.ndarray]) -> None:
    """Write an archive to a file that is open and empty; its comment is the SHA-256 of all bytes before.

    Otherwise like `numpy.savez`, whose own, on a full disk, goes on to complain after the error.
    """
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"0" * _DIGEST_BYTES
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    file.flush()
    with Path(file.name).open("rb+") as archive_file:
        digest = _digest(archive_file)
        archive_file.seek(-_DIGEST_BYTES, os.SEEK_END)
        archive_file.write(digest)


def is_intact(path: Path) -> bool:
    """Tell whether a file is, byte for byte, an archive that `write_archive` wrote; an OSError if it cannot be read."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size > _DIGEST_BYTES and _digest(file) == file.read()


def read_archive(
    path: Path, wanted: Callable[[str], bool] = lambda name: True, verified: bool = True
) -> Dict[str, np.ndarray]:
    """Read the arrays of an archive whose names are wanted.

    Raises
    ------
    DamagedArchiveError
        If the file cannot be read as one, or, to be ``verified``, is not what its SHA-256 is of.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive" if path.exists() else "no such file")
        if verified and not is_intact(path):
            raise ValueError("it was altered after it was written")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if wanted(name)}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("an entry is no array")  # NumPy returns the bytes of what does not begin as one
        return arrays
    except _DAMAGED as error:
        raise DamagedArchiveError.of(error) from None


def _digest(file: BinaryIO) -> bytes:
    """Return the SHA-256 of all bytes but those of the digest, in hexadecimal digits."""
    left = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        block = file.read(min(left, 1 << 20))
        if not block:
            break
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode()


def array_names(path: Path) -> List[str]:
    """Return the names of the arrays in an archive; errors as in `read_archive`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[: -len(".npy")] for name in archive.namelist()]
    except _DAMAGED as error:
        raise DamagedArchiveError.of(error) from None
