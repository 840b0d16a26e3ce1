"""Caches what was read of files, their digests and sizes, from one command to the next.

A file counts as unchanged while its size, inode and both of its times (of content and of anything else) are the same.
The cache is an SQLite file in the user's cache folder.  It may be deleted at any time; where it cannot be read and
written, files are read again.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from gluon_madapt.data.image_files import image_size
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import cores, in_threads

# The variable that names another folder than the user's cache folder.
FOLDER = "GLUON_MADAPT_CACHE"
# Raise the number whenever something else would be read from the same file.
_FILE = "contents-1.sqlite"
# A file may change twice within the resolution of its times, so what was changed just now is not cached.
SETTLED_NS = 2_000_000_000
_SECONDS_BETWEEN_SAVES = 5.0
_SECONDS_TO_WAIT = 2.0  # for another process that writes
# Below this, reading takes no time worth a word.
_LARGE = 200_000_000

_Result = TypeVar("_Result")
_Reader = Callable[[Path], Optional[str]]
# By the path of a file: its stamp, and what was read from it.
_Entries = Dict[bytes, Tuple[str, str]]
# What this process has read, by kind: files are read once even where nothing can be written.
_here: Dict[str, _Entries] = {}

_log = logging.getLogger(__name__)


def digests(paths: Sequence[Path]) -> List[Optional[str]]:
    """Return the SHA-256 of each file; None of one that cannot be read."""
    return read_once("digests", paths, _digest, "reading files")


def size_reader(paths: Sequence[Path]) -> Callable[[Path], Tuple[int, int]]:
    """Return a function like `image_size`, which opens those of ``paths`` alone that are new or changed."""
    sizes = dict(zip(paths, read_once("sizes", paths, _size)))

    def size(path: Path) -> Tuple[int, int]:
        text = sizes.get(path)
        if text is None:
            return image_size(path)
        width, height = text.split("x")
        return int(width), int(height)

    return size


def read_once(kind: str, paths: Sequence[Path], read: _Reader, title: str = "") -> List[Optional[str]]:
    """Return ``read(path)`` of each file; only files that are new or changed are read.

    Parameters
    ----------
    kind : str
        What is read, a word: the name of a table.
    paths : sequence of Path
        The files.
    read : callable
        Reads a file; a None is not cached.
    title : str
        Names the reading of many bytes in a line of progress; without it, there is none.
    """
    keys = list(map(_key, paths))
    stamps = [_stamp(key) for key in keys]
    entries = _here.setdefault(kind, {})
    values = _unchanged(entries, keys, stamps)
    if None in values:
        loaded = _load(kind, keys)
        current = zip(keys, _unchanged(loaded, keys, stamps))
        entries.update((key, loaded[key]) for key, value in current if value is not None)
        values = _unchanged(entries, keys, stamps)
    files = [_File(n, paths[n], keys[n], stamps[n]) for n, value in enumerate(values) if value is None]
    for number, value in _read_all(kind, files, read, title):
        values[number] = value
    return values


class _File(NamedTuple):
    """A file to be read, and its number among those asked for."""

    number: int
    path: Path
    key: bytes
    stamp: str

    @property
    def size(self) -> int:
        return int(self.stamp.split()[0]) if self.stamp else 0


def _unchanged(entries: _Entries, keys: Sequence[bytes], stamps: Sequence[str]) -> List[Optional[str]]:
    """Return what was read of each file; None of those that are missing, new or changed."""
    cached = (entries.get(key, ("", "")) for key in keys)
    return [value if stamp and stamp == before else None for stamp, (before, value) in zip(stamps, cached)]


def _read_all(kind: str, files: Sequence[_File], read: _Reader, title: str) -> Iterator[Tuple[int, Optional[str]]]:
    """Yield each file's number and what is read of it; cache that unless the file changed meanwhile or just before."""
    fresh: _Entries = {}
    done, total, saved = 0, sum(file.size for file in files), time.monotonic()
    shown = bool(title) and total >= _LARGE
    if shown:
        _log.info("%d files that are new or changed, %.1f GB, are read once", len(files), total / 1e9)
    results = in_threads(lambda file: _read(file.path, read), files, cores(), ahead=4 * cores())
    with Progress(title, len(files), hidden=not shown) as progress, closing(results):
        try:
            for file, (value, stamp) in zip(files, results):
                yield file.number, value
                if value is not None and stamp:
                    fresh[file.key] = (stamp, value)
                done += file.size
                progress.one_more([f"{done / 1e9:.1f} of {total / 1e9:.1f} GB"])
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    _save(kind, fresh)
                    fresh, saved = {}, time.monotonic()
        finally:
            _save(kind, fresh)


def _read(path: Path, read: _Reader) -> Tuple[Optional[str], str]:
    """Return what is read of a file, and its stamp if that can be relied upon from now on."""
    before = _stamp(path)
    value = read(path)
    after, now = _stamp(path), time.time_ns()
    settled = after and now - max(map(int, after.split()[1:3])) >= SETTLED_NS
    return value, after if before == after and settled else ""


def _key(path: Path) -> bytes:
    # As bytes: a name need not be UTF-8.  There are tens of thousands: `absolute` would take longer than all the rest.
    return os.fsencode(path if path.is_absolute() else path.absolute())


def _stamp(path: Union[Path, bytes]) -> str:
    """Return what changes when a file does; nothing if there is no such file."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - of bytes, too
    except OSError:
        return ""
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"


def _digest(path: Path) -> Optional[str]:
    try:
        return sha256(path)
    except OSError:
        return None


def _size(path: Path) -> Optional[str]:
    try:
        return "x".join(map(str, image_size(path)))
    except UserError:  # whoever asks for it is told why
        return None


def _load(kind: str, keys: Sequence[bytes]) -> _Entries:
    """Return what is cached of files, and of others between them."""
    # One query of tens of thousands of rows is much faster than many.
    query = f"SELECT path, stamp, value FROM {kind} WHERE path BETWEEN ? AND ?"
    rows = _with_table(kind, lambda database: database.execute(query, (min(keys), max(keys))).fetchall())
    return {path: (stamp, value) for path, stamp, value in rows or ()}


def _save(kind: str, fresh: _Entries) -> None:
    _here.setdefault(kind, {}).update(fresh)
    if fresh:
        rows = [(path, *entry) for path, entry in fresh.items()]
        _with_table(
            kind, lambda database: database.executemany(f"INSERT OR REPLACE INTO {kind} VALUES (?, ?, ?)", rows)
        )


def _with_table(kind: str, use: Callable[[sqlite3.Connection], _Result]) -> Optional[_Result]:
    """Return what ``use`` does with the database, once it has the table; None where it cannot be used: no error."""
    try:
        path = _folder() / _FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(str(path), timeout=_SECONDS_TO_WAIT)) as database, database:
            columns = "path BLOB PRIMARY KEY, stamp TEXT, value TEXT"
            database.execute(f"CREATE TABLE IF NOT EXISTS {kind} ({columns}) WITHOUT ROWID")
            return use(database)
    except (OSError, RuntimeError, sqlite3.OperationalError):  # no home, no space, a lock that nobody lets go of
        return None
    except sqlite3.Error:  # damaged: the next one is a new one
        with suppress(OSError):
            path.unlink()
        return None


def _folder() -> Path:
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gluon_madapt")
