"""Defines a finding, one line of an examination."""

from typing import NamedTuple

from gluon_madapt.names import printable

OK, WARNING, ERROR = "ok", "warning", "error"


class Finding(NamedTuple):
    """How something is: ``level`` is ok, warning or error; ``what`` was looked at; ``text`` says what was found."""

    level: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.what:<14} {printable(self.text)}"
