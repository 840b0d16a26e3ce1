"""Predicts many images and videos, one after the other; names and leaves out what cannot be read."""

import logging
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Generator, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_madapt.data.image_files import read_image
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.names import check_lengths
from gluon_madapt.precision import FLOAT32
from gluon_madapt.prediction.inputs import Source
from gluon_madapt.prediction.outputs import Outputs
from gluon_madapt.prediction.predictor import Prediction, Predictor
from gluon_madapt.prediction.video import video_facts, video_frames, video_writer
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import in_threads

_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """How many images and frames were predicted now and before, and which files could not be, or not to their end."""

    predicted: int
    before: int
    broken: List[Path]


class _Picture(NamedTuple):
    """An image or frame; without its pixels where it was done before."""

    path: Path
    name: str
    image: Optional[np.ndarray]
    sha256: str


def predict_all(predictor: Predictor, sources: Sequence[Source], outputs: Outputs) -> Counts:
    """Predict whatever is not done yet, and write it.

    Parameters
    ----------
    predictor : Predictor
        The model.
    sources : sequence of Source
        Images and videos.
    outputs : Outputs
        Where to, and what.

    Raises
    ------
    UserError
        If a file cannot be written.
    FailureError
        If what the network returns is not finite.
    """
    check_lengths(outputs.folder.path, (source.name for source in sources), ".png")
    images = [source for source in sources if not source.is_video]
    videos = [source for source in sources if source.is_video]
    total = len(images) + sum(_frame_count(source, outputs.wanted.every) for source in videos)
    if outputs.folder.computed_in:
        predictor.computed_in = outputs.folder.computed_in
    with Progress("prediction", total) as progress:
        work = _Work(predictor, outputs, progress)
        work.images(images)
        for source in videos:
            work.video(source)
    return Counts(work.predicted, work.before, work.broken)


class _Work:
    """The way of pictures: read ahead in one thread, predicted in this one, written in a third."""

    def __init__(self, predictor: Predictor, outputs: Outputs, progress: Progress):
        self._predictor, self._outputs, self._progress = predictor, outputs, progress
        self.predicted, self.before = 0, 0
        self.broken: List[Path] = []

    def images(self, sources: Sequence[Source]) -> None:
        """Predict images."""
        with closing(self._readable(sources)) as pictures:
            for picture, _ in self._written(pictures):
                if picture.image is not None:
                    self._outputs.log(picture.name, picture.sha256)

    def video(self, source: Source) -> None:
        """Predict the frames of a video, and make a video of their overlays if one is wanted."""
        folder, film, every = self._outputs.folder, self._outputs.video_file(source.name), self._outputs.wanted.every
        try:
            digest = _digest(source.path)
            frames = range(1, 1 + folder.frames(source.name, digest), every)
            if frames and self._outputs.are_done(source.name, frames):
                self._count_done(len(frames))
                return
            per_second = video_facts(source.path).per_second / every
        except UserError as error:
            self._leave_out(source.path, error)
            return
        folder.log_video(source.name, digest)
        last = 0
        with ExitStack() as stack:
            show = stack.enter_context(video_writer(film, per_second)) if film else None
            for number, (_, blended) in enumerate(self._written(self._frames(source, digest))):
                last = 1 + number * every
                if show and blended is not None:
                    show(blended)
        if source.path not in self.broken:
            folder.log_video(source.name, digest, last)

    def _readable(self, sources: Sequence[Source]) -> Generator[_Picture, None, None]:
        with closing(in_threads(self._read, sources, threads=1, ahead=1)) as pictures:
            for source, picture in zip(sources, pictures):
                if isinstance(picture, UserError):
                    self._leave_out(source.path, picture)
                else:
                    yield picture

    def _read(self, source: Source) -> Union[_Picture, UserError]:
        try:
            digest = _digest(source.path)
            done = self._outputs.is_done(source.name, digest)
            return _Picture(source.path, source.name, None if done else read_image(source.path), digest)
        except UserError as error:
            return error

    def _frames(self, source: Source, digest: str) -> Iterator[_Picture]:
        try:
            for number, image in video_frames(source.path, self._outputs.wanted.every):
                name = self._outputs.frame_name(source.name, number)
                yield _Picture(source.path, name, None if self._outputs.exist(name) else image, digest)
                if source.path in self.broken:  # as will be every other frame
                    return
        except UserError as error:
            self._leave_out(source.path, error)

    def _written(self, pictures: Iterable[_Picture]) -> Iterator[Tuple[_Picture, Optional[np.ndarray]]]:
        """Predict and write pictures that are not done; yield each, and its overlay if there is one."""
        with closing(in_threads(self._write, self._predictions(pictures), threads=1, ahead=1)) as written:
            for picture, blended in written:
                self._count_done(1, new=picture.image is not None)
                yield picture, blended

    def _predictions(self, pictures: Iterable[_Picture]) -> Iterator[Tuple[_Picture, Optional[Prediction]]]:
        for picture in pictures:
            if picture.image is None:
                yield picture, None
                continue
            try:
                prediction = self._predictor(picture.image, self._outputs.wanted.top_k)
                if self._predictor.precision != FLOAT32 and not self._outputs.folder.computed_in:
                    self._outputs.folder.note(self._predictor.computed_in)
                yield picture, prediction
            except UserError as error:
                self._leave_out(picture.path, UserError(f"{picture.path}: {error}"))
            except FailureError as error:
                raise FailureError(f"{picture.path}: {error}") from None

    def _write(self, item: Tuple[_Picture, Optional[Prediction]]) -> Tuple[_Picture, Optional[np.ndarray]]:
        picture, prediction = item
        if prediction is None or picture.image is None:
            return picture, self._outputs.overlay_of(picture.name)
        return picture, self._outputs.write(picture.name, picture.image, prediction)

    def _leave_out(self, path: Path, error: UserError) -> None:
        self.broken.append(path)
        _log.warning("warning: %s", error)
        self._progress.one_more()

    def _count_done(self, number: int, new: bool = False) -> None:
        for _ in range(number):
            self._progress.one_more()
        self.predicted += number * new
        self.before += number * (not new)


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _frame_count(source: Source, every: int) -> int:
    try:
        return -(-video_facts(source.path).frames // every)
    except UserError:  # which is said when its turn comes
        return 1
