"""The log of a training, a JSON object a line."""

import json
from pathlib import Path
from typing import Any, Dict, Optional

from gluon_madapt.errors import UserError
from gluon_madapt.stages.records import read_log, write_text


class TrainingLog:
    """What is appended to ``log.jsonl``, by the first worker alone.

    Parameters
    ----------
    path : Path
        The file.
    leads : bool
        Whether this process writes it.
    """

    def __init__(self, path: Path, leads: bool = True):
        self._path = path
        self._leads = leads

    def append(self, entry: Dict[str, Any]) -> None:
        """Add an entry.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        if not self._leads:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror})") from None

    def forget_after(self, iteration: int) -> Optional[Dict[str, Any]]:
        """Drop what comes after an iteration, and will be trained again; return the last score that is left."""
        entries = [one for one in read_log(self._path) if "iteration" in one and one["iteration"] <= iteration]
        if self._leads and self._path.exists():
            write_text(self._path, "".join(json.dumps(one) + "\n" for one in entries))
        scores = [one["val"] for one in entries if "val" in one]
        return scores[-1] if scores else None
