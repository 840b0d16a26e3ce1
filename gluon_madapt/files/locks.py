"""Locks files, so that processes that share a folder keep out of each other's way."""

import logging
from pathlib import Path
from typing import TextIO
from weakref import WeakValueDictionary

import portalocker
from portalocker import LockFlags

from gluon_madapt.errors import UserError

_held: "WeakValueDictionary[Path, TextIO]" = WeakValueDictionary()

_log = logging.getLogger(__name__)


class LockFileError(UserError):
    """A lock file cannot be written."""


def lock_file(path: Path, option: str, busy: str, *, shared: bool = False, wait: bool = False) -> TextIO:
    """Lock a file until it is closed, or the process ends, however it does.

    Parameters
    ----------
    path : Path
        The file, which is made if need be, and stays.
    option : str
        The option that names another place, for messages.
    busy : str
        What to say when another process holds the lock.
    shared : bool
        Whether others may hold a shared lock at the same time.
    wait : bool
        Whether to wait for the other process; it is an error otherwise.

    Raises
    ------
    LockFileError
        If the file cannot be written.
    UserError
        If another process holds the lock, or the file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")  # to read as well: on NFS a shared lock wants that
    except OSError as error:
        raise LockFileError(f"{path}: cannot be written ({error.strerror}): choose another {option}") from None
    kind = LockFlags.SHARED if shared else LockFlags.EXCLUSIVE
    try:
        try:
            portalocker.lock(file, kind | LockFlags.NON_BLOCKING)
        except portalocker.AlreadyLocked:
            if not wait:
                raise UserError(busy) from None
            _log.info("%s", busy)
            portalocker.lock(file, kind)
    except portalocker.LockException as error:
        reason = getattr(error.__cause__, "strerror", None) or error
        raise UserError(
            f"{path}: cannot be locked ({reason}): choose a place on another file system by {option}"
        ) from None
    return file


def lock_once(path: Path, option: str, busy: str) -> TextIO:
    """Lock a file as `lock_file`, or return the file by which this process holds the lock already."""
    key = path.resolve()
    file = _held.get(key)
    if file is None:
        file = _held[key] = lock_file(path, option, busy)
    return file
