"""Logs a training: a JSON object a line and, if asked for, TensorBoard's curves of the same numbers."""

import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import json_text, read_log, write_text
from gluon_madapt.run_layout import EVENTS, EXCHANGE_RATES, LOG, RATES


class Logger:
    """Appends entries to ``log.jsonl`` in a stage's folder, in the main process alone.

    Parameters
    ----------
    folder : Path
        The stage's folder.
    is_main : bool
        Whether this process writes it.
    tensorboard : bool
        Whether to write an event file, too, into ``tensorboard`` in the same folder.
    """

    def __init__(self, folder: Path, is_main: bool = True, tensorboard: bool = False):
        self._path = folder / LOG
        self._is_main = is_main
        self._curves = folder / EVENTS if is_main and tensorboard else None
        self._events: Optional[EventFile] = None

    def append(self, entry: Dict[str, Any]) -> None:
        """Add an entry.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        if not self._is_main:
            return
        with _refusal(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json_text(entry) + "\n")
        if self._events:
            self._events.append(entry)

    def forget_after(self, iteration: int) -> Optional[Dict[str, Any]]:
        """Drop the entries after an iteration, which will be trained again; return the last score that is left.

        The event file is made anew from the log, whatever was there: nothing comes twice in it, and it is complete even
        if the training was begun without.
        """
        log = read_log(self._path)
        entries = [entry for entry in log if "iteration" in entry and entry["iteration"] <= iteration]
        if self._is_main and self._path.exists():
            write_text(self._path, "".join(json_text(entry) + "\n" for entry in entries))
        if self._curves:
            self._events = EventFile(self._curves, entries)
        scores = [entry["val"] for entry in entries if "val" in entry]
        return scores[-1] if scores else None


class EventFile:
    """Writes the one event file of a training.

    It uses tensorboardX's `EventsWriter` and not its `SummaryWriter`: the latter writes in a thread, which dies when
    the disk is full, and the training would wait for it for ever.

    Parameters
    ----------
    folder : Path
        Where to write it; event files that are there are removed.
    entries : sequence of dict
        The entries that the log has already.

    Raises
    ------
    UserError
        If it cannot be written.
    """

    def __init__(self, folder: Path, entries: Sequence[Dict[str, Any]] = ()):
        # An optional dependency, which the command line asks for before anything is begun.
        from tensorboardX.event_file_writer import EventsWriter  # noqa: PLC0415
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415

        self._event = Event
        self._folder = folder.resolve()
        with _refusal(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob("events.out.tfevents.*"):
                old.unlink()
            self._writer = EventsWriter(str(self._folder / "events"))
            # As purge_step=0 would: a TensorBoard that runs already forgets what it has read of an earlier file.
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=0, session_log=start))
            for entry in entries:
                self._write(entry)
            self._writer.flush()

    def append(self, entry: Dict[str, Any]) -> None:
        """Add an entry of the log."""
        with _refusal(self._folder):
            self._write(entry)
            self._writer.flush()

    def _write(self, entry: Dict[str, Any]) -> None:
        event = self._event(wall_time=time.time(), step=entry["iteration"])
        for name, value in scalars(entry).items():
            event.summary.value.add(tag=name, simple_value=value)
        self._writer.write_event(event)


def scalars(entry: Dict[str, Any]) -> Dict[str, float]:
    """Return the values of a log entry by the names of their curves: losses and rates, or scores in percent."""
    if "val" in entry:
        scores = entry["val"]
        known = {f"val/{name}": value for name, value in scores.items() if isinstance(value, float)}
        by_class = {f"IoU/{name}": value for name, value in scores["iou"].items() if value is not None}
        fewer = {"val/classes": float(len(by_class))} if len(by_class) < len(scores["iou"]) else {}
        return {**known, **fewer, **by_class}
    rates = {name: entry[name] for name in (*RATES, *EXCHANGE_RATES) if name in entry}
    return {**{_curve(name): value for name, value in entry.items() if name not in ("iteration", *rates)}, **rates}


def _curve(name: str) -> str:
    """Return the name of a curve, by the kind of its quantity."""
    if name == "adversary_share":
        return f"gradient/{name}"
    kind, _, rest = name.partition("_")
    return f"accuracy/{rest}" if kind == "accuracy" else f"loss/{name}"


@contextmanager
def _refusal(path: Path) -> Iterator[None]:
    """Raise what the file system refuses as a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
