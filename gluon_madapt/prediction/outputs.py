"""Writes the files of a prediction: labels, colours, overlays, confidence, likeliest classes."""

import logging
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from gluon_madapt.data.image_files import read_image, write_png
from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically
from gluon_madapt.files.hashing import sha256 as hash_of_file
from gluon_madapt.files.json_files import write_json
from gluon_madapt.labels import ClassSet, colourize, encode_ids
from gluon_madapt.prediction.folder import Folder
from gluon_madapt.prediction.pictures import draw_legend, overlay
from gluon_madapt.prediction.predictor import Prediction, Predictor

TRAIN, CITYSCAPES = "train", "cityscapes"
_LABELS, _COLOURS, _OVERLAYS, _CONFIDENCE, _TOP_K = "labels", "colours", "overlays", "confidence", "top_k"
_VIDEOS = "videos"

_log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """What is written.

    Attributes
    ----------
    ids : str
        "train", or "cityscapes" for that data set's label ids.
    pictures : bool
        Whether colours and overlays are written.
    confidence : bool
        Whether the probability of each label is written.
    top_k : int
        Of how many of the likeliest classes ids and probabilities are written; 0 for none.
    videos : bool
        Whether the overlays of a video are written as a video, too.
    every : int
        Of a video every how many-th frame is taken.
    alpha : float
        Share of the colours in an overlay, 0 to 1.
    """

    ids: str = TRAIN
    pictures: bool = True
    confidence: bool = False
    top_k: int = 0
    videos: bool = False
    every: int = 1
    alpha: float = 0.5


class Outputs:
    """The files of predictions in a folder.

    Parameters
    ----------
    path : Path
        The folder.
    predictor : Predictor
        The model, for its classes and origin.
    wanted : Wanted
        What is written.
    fresh : bool
        Whether predictions that are there are moved aside.

    Attributes
    ----------
    folder : Folder
        The folder and its log.
    wanted : Wanted
        As given.

    Raises
    ------
    UserError
        As in `Folder`; or if the classes have no label ids of Cityscapes, or there are fewer than ``top_k``.
    """

    def __init__(self, path: Path, predictor: Predictor, wanted: Wanted, fresh: bool = False):
        classes = predictor.classes
        if wanted.top_k > len(classes):
            raise UserError(f"--top-k {wanted.top_k}: the model has {len(classes)} classes")
        self._classes, self.wanted = classes, wanted
        self._ids = _ids_of(classes, wanted.ids)
        settings = dict(predictor.settings, scales=list(predictor.settings["scales"]), precision=predictor.precision)
        chosen = {key: value for key, value in wanted._asdict().items() if key in ("ids", "alpha", "every", "top_k")}
        self.folder = Folder(path, {**predictor.origin, **settings, **chosen}, fresh)
        rows = zip(self._ids.tolist(), classes.names, classes.palette.tolist())
        listed = [{"id": number, "name": name, "colour": colour} for number, name, colour in rows]
        write_json(path / "classes.json", {"ids": wanted.ids, "classes": listed})
        if wanted.pictures:
            draw_legend(path / "legend.png", classes, self._ids)

    def is_done(self, name: str, sha256: str) -> bool:
        """Tell whether all files of an image of that name and SHA-256 are there.

        Label images that were altered since are left as they are, and named.

        Raises
        ------
        UserError
            If they are of another image, or would be written over because other files of it are missing.
        """
        entry, labels = self.folder.entry(name, sha256), self._files(name)[_LABELS]
        done = bool(entry) and self.exist(name)
        if "labels_sha256" in entry and labels.exists() and hash_of_file(labels) != entry["labels_sha256"]:
            text = f"{labels}: was altered since it was predicted"
            if not done:
                raise UserError(f"{text}, and would be written over: move it away, or choose another --out")
            _log.warning("%s, and is left as it is: remove it to have it predicted again", text)
        return done

    def log(self, name: str, sha256: str) -> None:
        """Say that an image, of this SHA-256, is done."""
        self.folder.log_image(name, sha256, hash_of_file(self._files(name)[_LABELS]))

    def exist(self, name: str) -> bool:
        """Tell whether all files of an image or frame of that name are there."""
        return all(path.exists() for path in self._files(name).values())

    def are_done(self, video: str, numbers: Sequence[int]) -> bool:
        """Tell whether all files of a video are there, of which these are the frames."""
        film = self.video_file(video)
        return (film is None or film.exists()) and all(self.exist(self.frame_name(video, number)) for number in numbers)

    @staticmethod
    def frame_name(video: str, number: int) -> str:
        """Return what a frame of a video is called."""
        return f"{video}/{number:06d}"

    def write(self, name: str, image: np.ndarray, prediction: Prediction) -> Optional[np.ndarray]:
        """Write the files of an image, (H, W, 3) uint8 RGB; return its overlay, of that shape, if there is one."""
        files, blended = self._files(name), None
        if self.wanted.pictures:
            colours = colourize(prediction.labels, self._classes)
            blended = overlay(image, colours, self.wanted.alpha)
            write_png(files[_COLOURS], colours)
            write_png(files[_OVERLAYS], blended)
        if self.wanted.confidence:
            write_png(files[_CONFIDENCE], np.rint(255 * prediction.confidence).astype(np.uint8))
        if self.wanted.top_k:
            with write_atomically(files[_TOP_K]) as file:
                ids, probabilities = self._ids[prediction.top_ids], prediction.top_probabilities
                np.savez_compressed(file, ids=ids, probabilities=probabilities)
        write_png(files[_LABELS], self._ids[prediction.labels])
        return blended

    def overlay_of(self, name: str) -> Optional[np.ndarray]:
        """Read the overlay of an image that is done, (H, W, 3) uint8 RGB, where a video is made of it."""
        return read_image(self._files(name)[_OVERLAYS]) if self.wanted.videos else None

    def video_file(self, name: str) -> Optional[Path]:
        """Return where the overlays of a video are written as a video, if they are."""
        return self.folder.path / _VIDEOS / f"{name}.mp4" if self.wanted.videos else None

    def _files(self, name: str) -> Dict[str, Path]:
        kinds: Dict[str, Any] = {
            _LABELS: True,
            _COLOURS: self.wanted.pictures,
            _OVERLAYS: self.wanted.pictures,
            _CONFIDENCE: self.wanted.confidence,
        }
        files = {kind: self.folder.path / kind / f"{name}.png" for kind, wanted in kinds.items() if wanted}
        if self.wanted.top_k:
            files[_TOP_K] = self.folder.path / _TOP_K / f"{name}.npz"
        return files


def _ids_of(classes: ClassSet, ids: str) -> np.ndarray:
    """Return what label images hold for each train id, (L,) uint8."""
    train_ids = np.arange(len(classes), dtype=np.uint8)
    if ids == TRAIN:
        return train_ids
    if ids not in classes.label_ids:
        raise UserError(f"--ids {ids}: the model's classes are not those of {ids}: they have train ids alone")
    return encode_ids(train_ids, ids, classes)
