"""Remembers what was read of files, from one command to the next, for as long as they stay as they are.

A file counts as unchanged while its size, inode and both of its times (of content and of anything else) are the same.
The memory is an SQLite file in the user's cache folder.  It may be deleted at any time; without one that can be read
and written, files are read again.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from gluon_madapt.data.image_files import image_size
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import cores, in_threads

# Where the memory lies, in place of the user's cache folder.
FOLDER = "GLUON_MADAPT_CACHE"
# To be raised whenever anything that is remembered would be found otherwise in the same file.
_FILE = "contents-1.sqlite"
# A file may change twice within the resolution of its times, so what was changed just now is not remembered.
SETTLED_NS = 2_000_000_000
_SECONDS_BETWEEN_SAVES = 5.0
_SECONDS_TO_WAIT = 2.0  # for another process that writes
# Below this, reading takes no time worth a word.
_LARGE = 200_000_000

_Find = Callable[[Path], Optional[str]]
# By the path of a file: its stamp, and what was found in it.
_Known = Dict[bytes, Tuple[str, str]]
_NOTHING = ("", None)
# What this process knows, by kind: files are read once even where nothing can be written.
_here: Dict[str, _Known] = {}

_log = logging.getLogger(__name__)


def digests(paths: Sequence[Path]) -> List[Optional[str]]:
    """Return the SHA-256 of each file; None of one that cannot be read."""
    return remembered("digests", paths, _digest, "reading files")


def size_reader(paths: Sequence[Path]) -> Callable[[Path], Tuple[int, int]]:
    """Return what `image_size` is of images, for those of ``paths`` without opening them again."""
    known = dict(zip(paths, remembered("sizes", paths, _size)))

    def size(path: Path) -> Tuple[int, int]:
        if known.get(path) is None:
            return image_size(path)
        width, height = known[path].split("x")
        return int(width), int(height)

    return size


def remembered(kind: str, paths: Sequence[Path], find: _Find, title: str = "") -> List[Optional[str]]:
    """Return ``find(path)`` of each file, which is called for those alone that are new or changed.

    Parameters
    ----------
    kind : str
        What is found, a word.
    paths : sequence of Path
        The files.
    find : callable
        Reads a file; where it returns None, that is not remembered.
    title : str
        What the reading of many bytes is called in a line of progress; without, there is none.
    """
    keys = list(map(_key, paths))
    stamps = [_stamp(path) for path in paths]
    known = _here.setdefault(kind, {})

    def is_known(place: int) -> bool:
        return _stamp_in(known, keys[place]) == stamps[place] != ""

    if not all(map(is_known, range(len(keys)))):
        loaded = _load(kind, keys)
        known.update(
            (key, loaded[key]) for key, stamp in zip(keys, stamps) if stamp and stamp == _stamp_in(loaded, key)
        )
    missing = [place for place in range(len(keys)) if not is_known(place)]
    values = [known.get(key, _NOTHING)[1] for key in keys]
    for place, value in _find(kind, [(place, paths[place], keys[place]) for place in missing], find, title, stamps):
        values[place] = value
    return values


def _find(
    kind: str, missing: Sequence[Tuple[int, Path, bytes]], find: _Find, title: str, stamps: Sequence[str]
) -> Iterator[Tuple[int, Optional[str]]]:
    """Yield what is found in files; remember it of those that did not change meanwhile, nor just before."""
    fresh: _Known = {}
    sizes = [int(stamps[place].split()[0]) if stamps[place] else 0 for place, _, _ in missing]
    left, total, saved = sum(sizes), sum(sizes), time.monotonic()
    shown = bool(title) and total >= _LARGE
    if shown:
        _log.info("%d files that are new or changed, %.1f GB, are read once", len(missing), total / 1e9)
    reading = in_threads(lambda one: _read(one[1], find), missing, cores(), ahead=4 * cores())
    with Progress(title, len(missing), hidden=not shown) as progress, closing(reading):
        try:
            for (place, _, key), size, (value, stamp) in zip(missing, sizes, reading):
                yield place, value
                if value is not None and stamp:
                    fresh[key] = (stamp, value)
                left -= size
                progress.one_more([f"{(total - left) / 1e9:.1f} of {total / 1e9:.1f} GB"])
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    _save(kind, fresh)
                    fresh, saved = {}, time.monotonic()
        finally:
            _save(kind, fresh)


def _read(path: Path, find: _Find) -> Tuple[Optional[str], str]:
    """Return what is found in a file, and its stamp if that can be relied upon from now on."""
    before = _stamp(path)
    value = find(path)
    after, now = _stamp(path), time.time_ns()
    settled = after and now - max(map(int, after.split()[1:3])) >= SETTLED_NS
    return value, after if before == after and settled else ""


def _stamp_in(known: _Known, key: bytes) -> str:
    return known.get(key, _NOTHING)[0]


def _key(path: Path) -> bytes:
    # As bytes: a name need not be UTF-8.  There are tens of thousands: `absolute` would take longer than all the rest.
    return os.fsencode(path if path.is_absolute() else path.absolute())


def _stamp(path: Path) -> str:
    """Return what changes when a file does; nothing if there is no such file."""
    try:
        facts = path.stat()
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


def _load(kind: str, keys: Sequence[bytes]) -> _Known:
    """Return what is remembered of files, and of others between them."""
    # One query of tens of thousands of rows is much faster than many.
    query = f"SELECT path, stamp, value FROM {kind} WHERE path BETWEEN ? AND ?"
    rows = _with_memory(kind, lambda memory: memory.execute(query, (min(keys), max(keys))).fetchall())
    return {path: (stamp, value) for path, stamp, value in rows or ()}


def _save(kind: str, fresh: _Known) -> None:
    _here.setdefault(kind, {}).update(fresh)
    if fresh:
        rows = [(path, *entry) for path, entry in fresh.items()]
        _with_memory(kind, lambda memory: memory.executemany(f"INSERT OR REPLACE INTO {kind} VALUES (?, ?, ?)", rows))


def _with_memory(kind: str, use: Callable[[sqlite3.Connection], Any]) -> Any:
    """Return what ``use`` does with the memory; None where that cannot be read or written, which is no error."""
    try:
        file = _folder() / _FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(str(file), timeout=_SECONDS_TO_WAIT)) as memory, memory:
            columns = "path BLOB PRIMARY KEY, stamp TEXT, value TEXT"
            memory.execute(f"CREATE TABLE IF NOT EXISTS {kind} ({columns}) WITHOUT ROWID")
            return use(memory)
    except (OSError, RuntimeError, sqlite3.OperationalError):  # no home, no space, a lock that nobody lets go of
        return None
    except sqlite3.Error:  # damaged: the next one is a new one
        with suppress(OSError):
            file.unlink()
        return None


def _folder() -> Path:
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gluon_madapt")
