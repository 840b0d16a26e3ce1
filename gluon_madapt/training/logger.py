"""The log of a training, a JSON object a line, and TensorBoard's curves of it."""

from pathlib import Path
from typing import Any, Dict, Optional

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import json_text, read_log, write_text
from gluon_madapt.run_layout import EVENTS, LOG
from gluon_madapt.training.event_file import EventFile


class Logger:
    """What is appended to ``log.jsonl`` in a stage's folder, by the first worker alone.

    Parameters
    ----------
    folder : Path
        The stage's folder.
    is_main : bool
        Whether this process writes it.
    tensorboard : bool
        Whether to write event files, too, into ``tensorboard`` in the same folder.
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
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json_text(entry) + "\n")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror})") from None
        if self._events:
            self._events.append(entry)

    def forget_after(self, iteration: int) -> Optional[Dict[str, Any]]:
        """Drop what comes after an iteration, and will be trained again; return the last score that is left.

        The event file is made anew from the log, whatever was there: nothing comes twice in it, and it is complete even
        if the training was begun without.
        """
        entries = [one for one in read_log(self._path) if "iteration" in one and one["iteration"] <= iteration]
        if self._is_main and self._path.exists():
            write_text(self._path, "".join(json_text(one) + "\n" for one in entries))
        if self._curves:
            self._events = EventFile(self._curves, entries)
        scores = [one["val"] for one in entries if "val" in one]
        return scores[-1] if scores else None
