"""Reads and writes what a stage leaves for people and for itself: JSON, settings and logs."""

import json
from pathlib import Path
from typing import Any, Dict, List

import yaml

from gluon_madapt.errors import UserError
from gluon_madapt.files.atomic import write_atomically

DAMAGED = "it is damaged: give --fresh to start that stage over"


def write_text(path: Path, text: str) -> None:
    r"""Write a text file, whole or not at all.

    A byte of a file's name that is no UTF-8 becomes ``\udcff``, say, which is what JSON and YAML have for it.
    """
    with write_atomically(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def json_text(values: Any, **layout: Any) -> str:
    """Return values as JSON, which knows no NaN and no infinity: what is not known is to be None.

    ``layout`` is as for `json.dumps`.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    return json.dumps(values, allow_nan=False, **layout)


def parse_json(text: str) -> Any:
    """Read JSON; NaN and infinities, which earlier versions wrote for scores of no pixels, are None."""
    return json.loads(text, parse_constant=lambda _: None)


def write_json(path: Path, values: Dict[str, Any]) -> None:
    """Write JSON for people to read as well, whole or not at all."""
    write_text(path, json_text(values, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Dict[str, Any]:
    """Read what `write_json` wrote.

    Raises
    ------
    UserError
        If the file cannot be read or was damaged.
    """
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}): {DAMAGED}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no JSON object: {DAMAGED}")
    return values


def read_settings(path: Path) -> Dict[str, Any]:
    """Read the resolved config.yaml of a stage, of whatever version: a dict for each section.

    Raises
    ------
    UserError
        If it cannot be read or was damaged.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}): {DAMAGED}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no settings: {DAMAGED}")
    return values


def read_log(path: Path) -> List[Dict[str, Any]]:
    """Return the entries of a log, one JSON object a line; a line that was cut off is left out, and no log is empty."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): {DAMAGED}") from None
    return [entry for entry in map(_parsed, lines) if isinstance(entry, dict)]


def _parsed(line: str) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return None
