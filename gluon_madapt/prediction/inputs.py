"""Finds the images and videos that a user names by file, folder or pattern, and names their predictions."""

import glob
import logging
import os
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Dict, Iterable, List, NamedTuple, Sequence

from gluon_madapt.data.file_types import IMAGE_SUFFIXES, VIDEO_SUFFIXES, LeftOut, is_image, is_video, why_not_read
from gluon_madapt.data.listing import files_below, is_hidden
from gluon_madapt.errors import UserError

_EXPECTED = f"images ({', '.join(IMAGE_SUFFIXES)}) or videos ({', '.join(VIDEO_SUFFIXES)})"
# In every folder of predictions: such folders are not taken for inputs.
MARK = "predictions.json"

_log = logging.getLogger(__name__)


class Source(NamedTuple):
    """An image or a video.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        What its predictions are called: its path below what was named on the command line, without the suffix.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether it is a video, by its suffix."""
        return is_video(self.path)


def find_sources(words: Iterable[str]) -> List[Source]:
    """Return the images and videos that are named, in the order of the words, those of one word by their names.

    Parameters
    ----------
    words : iterable of str
        Files, folders (with all folders below them) and patterns, in which ``**`` stands for any folders.  Hidden and
        system files in folders are none of them; files of kinds that cannot be read are named in a warning.

    Raises
    ------
    UserError
        If there is no such file, nothing in a folder, nothing that a pattern matches, or two predictions would be one
        file; or as `files_below`.
    """
    sources: Dict[str, Source] = {}
    for word in words:
        for source in _named(word):
            other = sources.setdefault(source.name, source)
            if other.path.absolute() != source.path.absolute():
                raise UserError(
                    f"{other.path} and {source.path}: their predictions would have one name, {source.name}: "
                    "predict one of them into another --out"
                )
    _refuse_frames_among_images(sources)
    return list(sources.values())


def _named(word: str) -> List[Source]:
    if not word:
        raise UserError("an empty text names no input: expected images, videos, folders of them, or a quoted pattern")
    path = Path(word)
    if path.is_dir():
        if (path / MARK).exists():
            raise UserError(f"{word}: holds predictions: name a folder of images, or one of the folders in it")
        return _below(path, files_below(path), f"{word}: holds no {_EXPECTED}")
    if path.is_file():
        return [_source(path, path.parent)]
    if glob.has_magic(word):
        return _matching(word)
    raise UserError(f"{word}: no such file or folder: expected images, videos, folders of them, or a quoted pattern")


def _matching(pattern: str) -> List[Source]:
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    if ".." in parts[first:]:
        raise UserError(f"{pattern}: has .. after a wildcard: name the folder that it leads to")
    return _below(Path(*parts[:first]), _matched(parts), f"{pattern}: matches no {_EXPECTED}")


def _matched(parts: Sequence[str]) -> List[Path]:
    """Return the files that a pattern matches; below the first ** as in a folder that is named."""
    if "**" not in parts:
        return _globbed(parts)
    place = parts.index("**")
    folders, rest = _globbed(parts[:place]) if place else [Path()], tuple(parts[place:])
    return [path for folder in folders for path in files_below(folder) if _fits(path.relative_to(folder).parts, rest)]


def _globbed(parts: Sequence[str]) -> List[Path]:
    """Return what a pattern without ** matches; hidden names only where the pattern begins as they do."""
    matches = map(Path, glob.glob(os.path.join(*parts)))  # noqa: PTH118, PTH207 - of a text
    wild = [place for place, part in enumerate(parts) if glob.has_magic(part)]
    return [
        path
        for path in matches
        if not any(is_hidden(path.parts[one]) and path.parts[one][0] != parts[one][0] for one in wild)
    ]


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Tell whether the parts of a path fit those of a pattern, of which ** fits any number."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return _fits(names, patterns[1:]) or (bool(names) and _fits(names[1:], patterns))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _fits(names[1:], patterns[1:])


def _below(root: Path, paths: Iterable[Path], empty: str) -> List[Source]:
    holds_predictions = lru_cache(maxsize=None)(lambda folder: (folder / MARK).exists())

    def is_prediction(path: Path) -> bool:
        below = path.relative_to(root).parents
        return any(holds_predictions(root / folder) for folder in below if folder != PurePath())

    sources, left_out = [], LeftOut()
    for path in sorted(paths):
        if is_prediction(path):
            continue
        if not (is_image(path) or is_video(path)):
            left_out.add(path, why_not_read(path))
        elif path.is_file() or path.is_symlink():
            sources.append(_source(path, root))
    if not sources:
        raise UserError(empty + (f"; left out: {left_out}" if str(left_out) else ""))
    if str(left_out):
        _log.warning("warning: %s: left out: %s", root, left_out)
    return sources


def _source(path: Path, root: Path) -> Source:
    return Source(path, os.fspath(path.relative_to(root).parent / path.stem))


def _refuse_frames_among_images(sources: Dict[str, Source]) -> None:
    """Refuse images in a folder that has the name of a video: its frames go there."""
    videos = {name for name, source in sources.items() if source.is_video}
    for name, source in sources.items():
        for folder in map(str, PurePath(name).parents):
            if folder in videos:
                raise UserError(
                    f"{sources[folder].path} and {source.path}: the predictions of both would be in {folder}/: "
                    "predict one of them into another --out"
                )
