"""Lists the files below a folder: linked folders once each, hidden and system files never."""

import os
from operator import attrgetter
from pathlib import Path
from typing import Iterator, List, Optional, Set, Tuple

from gluon_madapt.errors import UserError

# What file managers, network drives and operating systems leave among one's files.
_SYSTEM = {
    "__macosx",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "network trash folder",
    "temporary items",
    "desktop.ini",
    "ehthumbs.db",
    "thumbs.db",
    "icon\r",
}
_HIDDEN_STARTS, _UNFINISHED_ENDS = (".", "~$"), (".partial", ".part", ".crdownload")


def is_hidden(name: str, folder: bool = False) -> bool:
    """Tell whether a file or ``folder`` of this name is hidden, a system's own, or a file still being written."""
    lower = name.lower()
    unfinished = not folder and lower.endswith(_UNFINISHED_ENDS)
    return lower.startswith(_HIDDEN_STARTS) or lower in _SYSTEM or unfinished


def files_below(root: Path, without: Optional[Path] = None) -> List[Path]:
    """List the files of a folder and of all folders below it, in the order of their paths.

    Links to folders are followed.  A folder that several paths lead to is listed once: by its own path if it lies below
    ``root``, else by the first.  Links that lead nowhere are listed as files.

    Parameters
    ----------
    root : Path
        The folder; its own name may be a hidden one.  Where there is none, there are no files.
    without : Path, optional
        A folder to leave out.

    Raises
    ------
    UserError
        If a link leads back to a folder that it lies in, or a folder cannot be read.
    """
    if not root.is_dir():
        return []
    walk = _Walk(root, without)
    walk.visit(root, walk.root)
    return sorted(walk.files)


class _Walk:
    """A walk through folders; ``real`` are their paths without links, which tell one folder from another."""

    def __init__(self, home: Path, without: Optional[Path]):
        self.files: List[Path] = []
        self.root = os.path.realpath(home)
        self._home, self._without = home, without and os.path.realpath(without)
        self._seen: Set[str] = set()
        self._above: List[str] = []

    def visit(self, folder: Path, real: str) -> None:
        if real in self._seen or (self._without and _lies_in(real, self._without)):
            return
        self._seen.add(real)
        self._above.append(real)
        for entry in _entries(folder):
            path = folder / entry.name
            if entry.is_symlink() and _is_folder(entry.path):
                self.visit(*self._behind(path))
            elif entry.is_dir(follow_symlinks=False):
                self.visit(path, os.path.join(real, entry.name))  # noqa: PTH118 - a text
            elif entry.is_file(follow_symlinks=False) or _is_file_or_nothing(path):
                self.files.append(path)
        self._above.pop()

    def _behind(self, link: Path) -> Tuple[Path, str]:
        """Return by what path the folder behind a link is listed, and its real path."""
        target = os.path.realpath(link)
        if any(_lies_in(folder, target) for folder in self._above):
            raise UserError(
                f"{link}: is a link to {target}, which it lies in: remove it, or name a folder without such a link"
            )
        if not _lies_in(target, self.root):
            return link, target
        below = Path(target).relative_to(self.root)
        return (link if any(map(is_hidden, below.parts)) else self._home / below), target


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_hidden(entry.name, _leads_to_folder(entry))]
        return iter(sorted(shown, key=attrgetter("name")))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}): expected a folder of files") from None


def _leads_to_folder(entry: os.DirEntry) -> bool:
    return _is_folder(entry.path) if entry.is_symlink() else entry.is_dir(follow_symlinks=False)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - pathlib's raises where access is denied


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_file_or_nothing(link: Path) -> bool:
    # A link to nothing is listed as well: it is an error when it is read, rather than an image that is silently missed.
    return os.path.isfile(link) or (link.is_symlink() and not os.path.exists(link))  # noqa: PTH110, PTH113 - as above
