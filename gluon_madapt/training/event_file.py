"""A training's log as curves for TensorBoard."""

import socket
import time
from pathlib import Path
from typing import Any, Dict, Iterable, Sequence

from gluon_madapt.errors import UserError

_NAME = "events.out.tfevents"
_RATES = ("iteration", "learning_rate", "images_per_second", "waiting_for_data")


class EventFile:
    """The one event file of a training, made from the entries of its log.

    Its records are written as they come, not by a thread of their own, whose errors nobody would see.

    Parameters
    ----------
    folder : Path
        Where to write it; event files that are there are removed.
    entries : sequence of dict
        The entries that there are already.

    Raises
    ------
    UserError
        If it cannot be written.
    """

    def __init__(self, folder: Path, entries: Sequence[Dict[str, Any]] = ()):
        # An optional dependency, which the command line asks for before anything is begun.
        from tensorboardX import RecordWriter  # noqa: PLC0415
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415

        self._event = Event
        # TensorBoard, if it runs already, forgets what it has read of an earlier file when it comes to such a start.
        start = Event(wall_time=time.time(), step=0, session_log=SessionLog(status=SessionLog.START))
        version = Event(wall_time=time.time(), file_version="brain.Event:2")
        self._folder = folder.resolve()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob(f"{_NAME}.*"):
                old.unlink()
            name = f"{_NAME}.{time.time_ns()}.{socket.gethostname()}"
            self._writer = RecordWriter(str(self._folder / name))
        except OSError as error:
            raise self._error(error) from None
        self._write([version, start, *map(self._event_of, entries)])

    def append(self, entry: Dict[str, Any]) -> None:
        """Add an entry of the log."""
        self._write([self._event_of(entry)])

    def _event_of(self, entry: Dict[str, Any]):
        event = self._event(wall_time=time.time(), step=entry["iteration"])
        for name, value in scalars(entry).items():
            event.summary.value.add(tag=name, simple_value=value)
        return event

    def _write(self, events: Iterable[Any]) -> None:
        try:
            for event in events:
                self._writer.write(event.SerializeToString())
            self._writer.flush()
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError) -> UserError:
        return UserError(f"{self._folder}: cannot be written ({error.strerror})")


def scalars(entry: Dict[str, Any]) -> Dict[str, float]:
    """Return the values of a log entry by the names of their curves: losses and rates, or scores in percent."""
    if "val" in entry:
        scores = entry["val"]
        known = {f"val/{name}": value for name, value in scores.items() if isinstance(value, float)}
        by_class = {f"IoU/{name}": value for name, value in scores["iou"].items() if value is not None}
        fewer = {"val/classes": float(len(by_class))} if len(by_class) < len(scores["iou"]) else {}
        return {**known, **fewer, **by_class}
    rates = {name: entry[name] for name in _RATES[1:]}
    return {**{f"loss/{name}": value for name, value in entry.items() if name not in _RATES}, **rates}
