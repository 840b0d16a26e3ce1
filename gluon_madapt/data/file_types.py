"""Tells by its suffix what kind of file a path is of: an image that is read, or a picture that is not."""

import re
from pathlib import Path
from typing import Dict, List, Sequence

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
# Of cameras, scanners, drawing programs and arrays: to be converted first.
_NOT_READ = re.compile(
    r"\.(heic|heif|hif|avif|jxl|jp2|j2k|jpf|jpx|jpe|jfif|gif|apng|svg|pdf|eps|ai|psd|xcf|tga|dds|ico|exr|hdr|"
    r"ppm|pgm|pbm|pnm|pfm|npy|npz|mat|raw|dng|arw|cr2|cr3|nef|nrw|orf|raf|rw2|pef|srw|3gp|mts|m2ts|ogv|flv|"
    r"insp|insv|gz|zip|tar)"
)
_NAMED = 3


def is_image(path: Path) -> bool:
    """Tell whether a path is of an image that can be read, by its suffix."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """Tell whether a path is of a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def why_not_read(path: Path) -> str:
    """Return why a file that may be meant as an image is not read, or an empty text for any other file."""
    suffix = path.suffix.lower()
    if _NOT_READ.fullmatch(suffix) or suffix in VIDEO_SUFFIXES:
        return f"of kind {suffix}, which is not read"
    if path.is_symlink() and not path.exists():
        return "links that lead nowhere"
    return ""


class LeftOut:
    """The files that are left out of a data set, by the reason."""

    def __init__(self) -> None:
        self._paths: Dict[str, List[Path]] = {}

    def add(self, path: Path, reason: str) -> None:
        """Count a file, if there is a reason to."""
        if reason:
            self._paths.setdefault(reason, []).append(path)

    def __str__(self) -> str:
        """Return each reason with its number of files and the first of them; an empty text if no file is left out."""
        return "; ".join(f"{len(paths)} {reason} ({few(paths)})" for reason, paths in self._paths.items())


def few(names: Sequence[object]) -> str:
    """Return the first names of a list as text, with an ellipsis for the others."""
    return ", ".join(map(str, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
