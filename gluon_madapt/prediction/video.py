"""Reads and writes videos a frame at a time: memory does not grow with their length."""

import math
import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Tuple

import cv2
import numpy as np

from gluon_madapt.data.image_headers import upright
from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import PARTIAL, replace_atomically
from gluon_madapt.names import utf8_path
from gluon_madapt.prediction.display_matrix import orientation_of_video

# Read by OpenCV when it opens a video: what FFmpeg has to say of a damaged one is said here, in one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_ERRORS = 2  # OpenCV's level of what it says: no warnings

# Of the codecs that go into an MP4, the only one that OpenCV's wheels have an encoder for and most players show.
_CODEC = "mp4v"
# For a video that does not say its own.
_FRAMES_PER_SECOND = 25.0
# Containers may round the number of frames, or reckon it from the length.
_SHORT_BY, _SHARE_SHORT_BY = 1, 0.01


class VideoFacts(NamedTuple):
    """What a video says of itself: how many frames it has, 0 if it does not say, and how many of them a second."""

    frames: int
    per_second: float


def video_facts(path: Path) -> VideoFacts:
    """Read what a video says of itself.

    Raises
    ------
    UserError
        If it cannot be opened.
    """
    with _opened(path) as capture:
        per_second = capture.get(cv2.CAP_PROP_FPS)
        known = math.isfinite(per_second) and per_second > 0
        return VideoFacts(
            max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), per_second if known else _FRAMES_PER_SECOND
        )


def video_frames(path: Path, every: int = 1) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield the number, from 1, of the first frame and of every ``every``-th one after it, and its (H, W, 3) uint8 RGB.

    Frames are upright, as FFmpeg turns and mirrors them by what the video says.

    Raises
    ------
    UserError
        If it cannot be opened; after the last frame, if it ends before it should.
    """
    announced, number = video_facts(path).frames, 0
    with _opened(path) as capture:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # builds of OpenCV differ in the default, and none mirrors
        orientation = orientation_of_video(path, capture.get(cv2.CAP_PROP_ORIENTATION_META))
        while capture.grab():
            number += 1
            if (number - 1) % every:
                continue
            whole, frame = capture.retrieve()
            if not whole:
                raise UserError(f"{path}: frame {number} cannot be decoded")
            yield number, upright(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), orientation)
    if not number or announced - number > _SHORT_BY + _SHARE_SHORT_BY * announced:
        raise UserError(f"{path}: ends after {number} of {announced} frames: it was cut off or is damaged")


@contextmanager
def video_writer(path: Path, per_second: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an MP4, whole or not at all: yields what takes its frames, (H, W, 3) uint8 RGB, all of one size.

    Raises
    ------
    UserError
        If it cannot be written, or frames are too small for a video.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(dir=path.parent, suffix=PARTIAL))
        part = Path(folder) / "video.mp4"  # OpenCV chooses the container by the suffix
        name = opened.enter_context(utf8_path(part))
        writer = cv2.VideoWriter()

        def add(frame: np.ndarray) -> None:
            size = frame.shape[1::-1]
            if not writer.isOpened() and not writer.open(name, cv2.VideoWriter.fourcc(*_CODEC), per_second, size):
                raise UserError(f"{path}: cannot be written as a video of {size[0]}x{size[1]} pixels")
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

        try:
            yield add
        finally:
            writer.release()
        if part.is_file():
            with replace_atomically(path) as partial:
                part.replace(partial)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    # By FFmpeg alone: other back ends take a name with digits for a pattern of images.
    before = cv2.getLogLevel()
    with utf8_path(path) as name:
        cv2.setLogLevel(_ERRORS)
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        cv2.setLogLevel(before)
    try:
        if not capture.isOpened():
            raise UserError(f"{path}: not readable as a video: it is of no known kind, damaged, or was cut off")
        yield capture
    finally:
        capture.release()
