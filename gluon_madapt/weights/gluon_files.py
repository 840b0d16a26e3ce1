"""Reads and writes Gluon's parameter files without MXNet's own parser, which a damaged file can crash.

A file is a list of arrays and a list of their names, all little-endian.  It has no checksum, and does not say which
network it is of.  So this project writes both to a second file, named as the first with ".sha256" at its end: a line
that sha256sum can check, and a comment in JSON that describes the network.
"""

import json
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional, Tuple

import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.files.hashing import sha256
from gluon_madapt.names import bytes_of

# The start of the line, in the file of the checksum, that describes the network.
_DESCRIPTION = "# gluon_madapt "
_FILE_MAGIC = 0x112
# The first number of an array, by the version of the format; before V1 it is the number of dimensions.
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
# MXNet's numbers for types.
_DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
_MOST_DIMENSIONS = 32


class NoParameterFileError(ValueError):
    """The file is not what it should be; the message says where it stops being so."""


def read_arrays(path: Path) -> Dict[str, np.ndarray]:
    """Read the named arrays of a parameter file.

    Raises
    ------
    NoParameterFileError
        If it is no such file, was cut off, or holds arrays without names.
    UserError
        If it is not the file that its checksum is of.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    with file:
        reader = _Reader(file, path.stat().st_size)
        if reader.numbers("<QQ")[0] != _FILE_MAGIC:
            raise NoParameterFileError("it does not begin as one")
        arrays = [_read_array(reader) for _ in range(reader.count(least_bytes=4))]
        names = [reader.take(reader.count(1)) for _ in range(reader.count(least_bytes=8))]
        if reader.left:
            raise NoParameterFileError(f"{reader.left} bytes follow its end")
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise NoParameterFileError(f"it holds {len(arrays)} arrays and {len(set(names))} names for them")
    _check(path)
    try:
        return {name.decode(): array for name, array in zip(names, arrays)}
    except UnicodeDecodeError:
        raise NoParameterFileError("a name in it is no text") from None


def write_arrays(path: Path, arrays: Dict[str, np.ndarray], description: Optional[Dict[str, Any]] = None) -> None:
    """Write a parameter file, and a second one with its checksum and description, each whole or not at all."""
    numbers = {np.dtype(text): number for number, text in _DTYPES.items()}
    checksum_of(path).unlink(missing_ok=True)  # of a file that is about to be replaced
    with write_atomically(path) as file:
        file.write(struct.pack("<QQQ", _FILE_MAGIC, 0, len(arrays)))
        for array in arrays.values():
            file.write(struct.pack(f"<IiI{array.ndim}q", _V2, _DENSE, array.ndim, *array.shape))
            file.write(struct.pack("<iii", 1, 0, numbers[array.dtype]))  # on the CPU
            file.write(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        file.write(struct.pack("<Q", len(arrays)))
        for name in arrays:
            file.write(struct.pack("<Q", len(name.encode())) + name.encode())
    with write_atomically(checksum_of(path)) as file:
        file.write(bytes_of(f"{sha256(path)}  {path.name}\n"))
        if description:
            file.write(f"{_DESCRIPTION}{json.dumps(description)}\n".encode())


def description_beside(path: Path) -> Dict[str, Any]:
    """Return the description that `write_arrays` put beside a parameter file; nothing where there is none."""
    for line in _lines_beside(path):
        if line.startswith(_DESCRIPTION):
            try:
                description = json.loads(line[len(_DESCRIPTION) :])
            except ValueError:
                raise UserError(f"{checksum_of(path)}: was altered: what it says of {path.name} is no JSON") from None
            return description if isinstance(description, dict) else {}
    return {}


def is_as_written(path: Path) -> bool:
    """Tell whether a parameter file and its description are there as `write_arrays` wrote them."""
    try:
        return path.is_file() and bool(description_beside(path)) and _checksum_is_right(path)
    except UserError:
        return False


def checksum_of(path: Path) -> Path:
    """Return where the checksum of a parameter file lies."""
    return path.with_name(f"{path.name}.sha256")


def _check(path: Path) -> None:
    if checksum_of(path).is_file() and not _checksum_is_right(path):
        raise UserError(f"{path}: was altered after it was written: its SHA-256 is not the one in {checksum_of(path)}")


def _checksum_is_right(path: Path) -> bool:
    lines = (line for line in _lines_beside(path) if not line.startswith("#"))
    return re.findall(r"\b[0-9a-f]{64}\b", " ".join(lines).lower()) == [sha256(path)]


def _lines_beside(path: Path) -> List[str]:
    checksum = checksum_of(path)
    try:
        return checksum.read_text(encoding="utf-8", errors="replace").splitlines() if checksum.is_file() else []
    except OSError as error:
        raise UserError(f"{checksum}: cannot be read ({error.strerror})") from None


class _Reader:
    """A file that is never asked for more than it has left."""

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self.left = size

    def take(self, number: int) -> bytes:
        if number > self.left:
            raise NoParameterFileError(f"it ends {number - self.left} bytes early")
        self.left -= number
        return self._file.read(number)

    def numbers(self, layout: str) -> Tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def count(self, least_bytes: int) -> int:
        """Read how many things follow, each of at least some bytes."""
        (number,) = self.numbers("<Q")
        if number * least_bytes > self.left:
            raise NoParameterFileError(f"{number} things are to follow in {self.left} bytes")
        return number


def _read_array(reader: _Reader) -> np.ndarray:
    shape = _read_shape(reader)
    _, _, number = reader.numbers("<iii")  # the device that it was on: type and index
    if number not in _DTYPES or any(side < 0 for side in shape):
        raise NoParameterFileError(f"an array in it has shape {shape} and a type of number {number}")
    dtype = np.dtype(_DTYPES[number])
    data = reader.take(_product(shape) * dtype.itemsize)
    try:
        return np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # a side of 0 beside one that no array may have
        raise NoParameterFileError(f"an array in it has shape {shape} ({error})") from None


def _read_shape(reader: _Reader) -> Tuple[int, ...]:
    (magic,) = reader.numbers("<I")
    if magic <= _MOST_DIMENSIONS:  # before V1: the number of dimensions itself, and shorter ones
        dimensions, side = magic, "I"
    elif magic in (_V1, _V2, _V3):
        if magic != _V1 and reader.numbers("<i") != (_DENSE,):
            raise NoParameterFileError("an array in it is sparse")
        (dimensions,), side = reader.numbers("<i"), "q"
    else:
        raise NoParameterFileError("an array in it does not begin as one")
    # Without dimensions there is no array, and nothing follows, but for V3's single numbers.
    if not (0 if magic == _V3 else 1) <= dimensions <= _MOST_DIMENSIONS:
        raise NoParameterFileError(f"an array in it has {dimensions} dimensions")
    return reader.numbers(f"<{dimensions}{side}")


def _product(sides: Tuple[int, ...]) -> int:
    product = 1
    for side in sides:  # NumPy's own would overflow
        product *= side
    return product
