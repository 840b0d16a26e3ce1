"""Keeps a folder of predictions: what made them, and which are done, so that none is made twice and none is mixed."""

import os
import re
import shutil
from pathlib import Path, PurePath
from typing import Any, Dict, TextIO

from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import PARTIAL
from gluon_madapt.files.json_files import json_text, read_json, read_log, write_json, write_text
from gluon_madapt.files.locks import lock_file
from gluon_madapt.precision import FLOAT32
from gluon_madapt.prediction.inputs import MARK
from gluon_madapt.runs.ownership import move_aside
from gluon_madapt.system.provenance import with_this_code

_LOG, _LOCK = "log.jsonl", ".lock"
# What `tempfile` calls the folder of a video that is being written.
_OF_A_VIDEO = re.compile(rf"tmp\w{{8}}{re.escape(PARTIAL)}")
_FRAMES = "frames"  # in the lines of videos
# What decides the content of a file that is there; a folder holds what was made by one value of each.
_DECIDING = (
    "checkpoint_sha256",
    "short_side",
    "scales",
    "mirror",
    "ids",
    "alpha",
    "every",
    "top_k",
    "precision",
    "runtime",
)


class Folder:
    """The folder, and its log: a line for each prediction, written after its files.

    Parameters
    ----------
    path : Path
        The folder.
    made_by : dict
        The model and settings, JSON values by name.
    fresh : bool
        Whether predictions that are there are moved aside.

    Attributes
    ----------
    computed_in : str
        The precision that the first image has decided for; empty if that is not known yet.

    Raises
    ------
    UserError
        If it holds predictions of another model or other settings, or anything else; if another process is at work on
        it, or it cannot be written.
    """

    def __init__(self, path: Path, made_by: Dict[str, Any], fresh: bool = False):
        self.path = path
        self._lock = self._claim(fresh)
        self._record(made_by)
        self.computed_in: str = read_json(path / MARK).get("computed_in", "")
        for partial in path.rglob(f"*{PARTIAL}"):  # of processes that were killed
            if partial.is_file():
                partial.unlink()
            elif _OF_A_VIDEO.fullmatch(partial.name):  # others are predictions of images in a folder of that name
                shutil.rmtree(partial)
        self._entries = {line["name"]: line for line in read_log(path / _LOG) if {"name", "sha256"} <= line.keys()}
        write_text(path / _LOG, "".join(map(_line, self._entries.values())))  # without a line that was cut off

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *error) -> None:
        self._lock.close()

    def entry(self, name: str, sha256: str) -> Dict[str, Any]:
        """Return what was logged of a prediction; nothing if it is not done.

        Raises
        ------
        UserError
            If it was made from another file, of another SHA-256.
        """
        entry = self._entries.get(name, {})
        above = (self._entries.get(str(folder), {}) for folder in PurePath(name).parents)
        if any(_FRAMES in video for video in above) or (entry and entry["sha256"] != sha256):
            self._refuse(name)
        return entry

    def _refuse(self, name: str) -> None:
        raise UserError(
            f"{name}: {self.path} holds predictions of another file of that name, which are left as they are: "
            "choose another --out, or give --fresh to move all aside"
        )

    def frames(self, video: str, sha256: str) -> int:
        """Return how many frames of a video there were when all were done; 0 if they are not, else as in `entry`."""
        if any(name.startswith(f"{video}/") for name in self._entries):
            self._refuse(video)
        return self.entry(video, sha256).get(_FRAMES, 0)

    def log_image(self, name: str, sha256: str, labels_sha256: str) -> None:
        """Say that an image is done, and of what its label image is."""
        self._log({"name": name, "sha256": sha256, "labels_sha256": labels_sha256})

    def log_video(self, name: str, sha256: str, frames: int = 0) -> None:
        """Say how many frames of a video are done; 0 before the first is written, for its name to be taken."""
        self._log({"name": name, "sha256": sha256, _FRAMES: frames})

    def _log(self, entry: Dict[str, Any]) -> None:
        self._entries[entry["name"]] = entry
        try:
            with (self.path / _LOG).open("a", encoding="utf-8") as file:
                file.write(_line(entry))
        except OSError as error:
            raise UserError(f"{self.path / _LOG}: cannot be written ({error.strerror})") from None

    def _claim(self, fresh: bool) -> TextIO:
        if self.path.exists() and not (self.path / MARK).exists() and not _is_empty(self.path):
            raise UserError(f"--out {self.path}: is no folder of predictions, nor empty: choose another one")
        lock = self._locked()
        if fresh and (self.path / MARK).exists():
            move_aside(Path(os.path.abspath(self.path)))  # noqa: PTH100 - links stay, a dot or two has a name
            lock.close()
            lock = self._locked()
        return lock

    def _locked(self) -> TextIO:
        busy = f"--out {self.path}: another process predicts into it: wait for it, or stop it"
        return lock_file(self.path / _LOCK, "--out", busy)

    def _record(self, made_by: Dict[str, Any]) -> None:
        path = self.path / MARK
        # An earlier version had float32 alone.
        before = {"precision": FLOAT32, **_read_mark(path)} if path.exists() else {}
        if before:
            changes = [
                _change(key, before.get(key), made_by.get(key)) for key in _DECIDING if _differ(key, before, made_by)
            ]
            if changes:
                raise UserError(
                    f"--out {self.path}: holds predictions made otherwise ({'; '.join(changes)}): give --fresh to move "
                    "them aside, or another --out"
                )
        top_k = made_by["top_k"] or before.get("top_k", 0)
        kept = {key: before[key] for key in ("computed_in",) if key in before}
        code = with_this_code(before.get("predicted_by", ()))
        write_json(path, dict(made_by, **kept, top_k=top_k, predicted_by=code))

    def note(self, computed_in: str) -> None:
        """Write down in what precision predictions are computed, which the first image decides for all."""
        self.computed_in = computed_in
        path = self.path / MARK
        write_json(path, dict(read_json(path), computed_in=computed_in))


def _read_mark(path: Path) -> Dict[str, Any]:
    try:
        return read_json(path)
    except UserError:
        raise UserError(f"{path}: cannot be read: give --fresh to move the folder aside, or another --out") from None


def _differ(key: str, before: Dict[str, Any], now: Dict[str, Any]) -> bool:
    optional = key == "top_k" and not (before.get(key) and now.get(key))
    return before.get(key) != now.get(key) and not optional


def _change(key: str, before: Any, now: Any) -> str:
    if key == "checkpoint_sha256":
        return "by another model"
    return f"{key} was {before}, now {now}"


def _is_empty(path: Path) -> bool:
    return path.is_dir() and all(one.name == _LOCK or one.suffix == PARTIAL for one in path.iterdir())


def _line(entry: Dict[str, Any]) -> str:
    return json_text(entry) + "\n"
