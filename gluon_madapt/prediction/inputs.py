"""Files, folders, patterns and videos, as a user names them -> what is to be predicted, and how it will be called."""

import glob
import os
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Dict, Iterable, Iterator, List, NamedTuple

from gluon_madapt.data.layouts import IMAGE_SUFFIXES, is_image
from gluon_madapt.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
_EXPECTED = f"images ({', '.join(IMAGE_SUFFIXES)}) or videos ({', '.join(VIDEO_SUFFIXES)})"
# In every folder of predictions: such folders are not taken for inputs.
MARK = "predictions.json"


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
        return _is_video(self.path)


def find_sources(words: Iterable[str]) -> List[Source]:
    """Return the images and videos that are named, in the order of the words, those of one word by their names.

    Parameters
    ----------
    words : iterable of str
        Files, folders (with all folders below them) and patterns, in which ``**`` stands for any folders.

    Raises
    ------
    UserError
        If there is no such file, nothing in a folder, nothing that a pattern matches, or two predictions would be one
        file.
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
        return _below(path, path.rglob("*"), f"{word}: holds no {_EXPECTED}")
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
    found = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 - a last ** is files, too
    return _below(Path(*parts[:first]), found, f"{pattern}: matches no {_EXPECTED}")


def _below(root: Path, paths: Iterator[Path], empty: str) -> List[Source]:
    holds_predictions = lru_cache(maxsize=None)(lambda folder: (folder / MARK).exists())

    def is_prediction(path: Path) -> bool:
        below = path.relative_to(root).parents
        return any(holds_predictions(root / folder) for folder in below if folder != PurePath())

    taken = (path for path in paths if is_image(path) or (_is_video(path) and path.is_file()))
    sources = [_source(path, root) for path in sorted(taken) if not is_prediction(path)]
    if not sources:
        raise UserError(empty)
    return sources


def _source(path: Path, root: Path) -> Source:
    return Source(path, os.fspath(path.relative_to(root).parent / path.stem))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


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
