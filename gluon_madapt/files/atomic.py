"""Writes files whole or not at all."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Iterator

from gluon_madapt.errors import UserError
from gluon_madapt.names import shortened

# How the names of files end that are being written.
PARTIAL = ".partial"


@contextmanager
def write_atomically(path: Path, writer: str = "") -> Iterator[BinaryIO]:
    """Open a file beside ``path`` for writing; flush it to disk and rename it to ``path`` when all went well.

    ``writer`` tells processes apart that may write the same file at the same time.

    Raises
    ------
    UserError
        If it cannot be written, for want of space or of permission.
    """
    with replace_atomically(path, writer) as partial, partial.open("wb") as file:
        yield file


@contextmanager
def replace_atomically(path: Path, writer: str = "") -> Iterator[Path]:
    """Name a file beside ``path`` for writers that open files themselves; the rest as in `write_atomically`."""
    path = Path(path)
    partial = path.with_name(shortened(path.name, f"{writer}{PARTIAL}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):  # there is none any more, or there could be none
            partial.unlink()


def _flush_folder(folder: Path) -> None:
    """Have a renaming survive a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # a file system that cannot: the file itself is on disk
        pass
    finally:
        os.close(descriptor)
