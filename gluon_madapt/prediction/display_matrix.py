"""Finds how to turn the frames of a video upright, as FFmpeg does by itself."""

import os
import struct
from pathlib import Path
from typing import BinaryIO, Iterator, Tuple

# By the angle that a video says to turn its frames by, clockwise: EXIF's orientation, and that of a mirrored video.
_ORIENTATIONS = {0: (1, 4), 90: (6, 5), 180: (3, 2), 270: (8, 7)}
# Where the matrix lies in the boxes of an MP4 that have one, by the version of the box.
_FILM, _TRACK = (36, 48), (40, 52)


def orientation_of_video(path: Path, angle: float) -> int:
    """Return the EXIF orientation, 1 to 8, of a video's frames.

    Parameters
    ----------
    path : Path
        The video.
    angle : float
        The angle that it says, in degrees clockwise, as OpenCV reads it. Whether it is mirrored OpenCV does not tell;
        of an MP4 or a QuickTime film that is read here. An angle that is no quarter of a turn is taken for none.
    """
    angle = round(angle) % 360
    return _ORIENTATIONS[angle][_is_mirrored(path)] if angle in _ORIENTATIONS else 1


def _is_mirrored(path: Path) -> bool:
    """Tell whether an MP4 mirrors its first track of pictures; no other kind of file can."""
    try:
        with path.open("rb") as file:
            for kind, start, end in _boxes(file, 0, os.fstat(file.fileno()).st_size):
                if kind == b"moov":
                    return _determinant_of_pictures(file, start, end) < 0
    except (OSError, struct.error):
        pass
    return False


def _determinant_of_pictures(file: BinaryIO, start: int, end: int) -> float:
    film = 1.0
    for kind, *place in _boxes(file, start, end):
        if kind == b"mvhd":
            film = _determinant(file, place[0], _FILM)
        elif kind == b"trak":
            within = {name: span for name, *span in _boxes(file, *place)}
            if b"tkhd" in within and _holds_pictures(file, *within.get(b"mdia", (0, 0))):
                return film * _determinant(file, within[b"tkhd"][0], _TRACK)
    return film


def _holds_pictures(file: BinaryIO, start: int, end: int) -> bool:
    return any(kind == b"hdlr" and _read(file, place + 8, 4) == b"vide" for kind, place, _ in _boxes(file, start, end))


def _determinant(file: BinaryIO, start: int, places: Tuple[int, int]) -> float:
    version = _read(file, start, 1)[0] == 1
    a, b, _, c, d = struct.unpack(">5i", _read(file, start + places[version], 20))
    return float(a * d - b * c)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Tuple[bytes, int, int]]:
    """Yield the kind of each box between two places of an MP4, and where its content starts and ends."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", _read(file, start, 8))
        content = start + 8
        if size == 1:
            size, content = struct.unpack(">Q", _read(file, content, 8))[0], content + 8
        following = end if size == 0 else start + size
        if following < content:
            return
        yield kind, content, min(following, end)
        start = following


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    data = file.read(size)
    if len(data) < size:
        raise struct.error
    return data
