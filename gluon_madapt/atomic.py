"""Writing files whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

from gluon_madapt.errors import UserError


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` for writing; flush it to disk and rename it to ``path`` when all went well.

    Raises
    ------
    UserError
        If it cannot be written, for want of space or of permission.
    """
    with replace_atomically(path) as partial, partial.open("wb") as file:
        yield file


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Name a file beside ``path`` for writers that open files themselves; the rest as in `write_atomically`."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if partial.is_file():
            partial.unlink()
