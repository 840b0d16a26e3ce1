"""Defines what one check of a device has found."""

from typing import Any, Dict, NamedTuple

from gluon_madapt.names import printable

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"


class Check(NamedTuple):
    """One check: ``level`` is ok, warning, failed or skipped; ``figures`` are what was measured, JSON values."""

    level: str
    what: str
    text: str
    figures: Dict[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.level:<8} {self.what:<18} {printable(self.text)}"
