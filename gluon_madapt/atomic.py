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
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if partial.is_file():
            partial.unlink()
