"""Reads an experiment from YAML, with a base file and overrides; every error names the file and the key."""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from pydantic import ValidationError

from gluon_madapt.config.messages import in_plain_words, shown
from gluon_madapt.config.paths import given_path
from gluon_madapt.config.renamed import current_name, current_names
from gluon_madapt.config.schema import Experiment
from gluon_madapt.config.yaml_text import ConfigError, parse_yaml
from gluon_madapt.run_layout import CONFIG, INPUTS

_MOST_BYTES = 1 << 20
# Characters of an override that a message shows.
_LONGEST_OVERRIDE = 200


def load_experiment(path: Path, overrides: Sequence[str] = (), seed: Optional[int] = None) -> Experiment:
    """Read an experiment from YAML.

    A file may name another one with ``base: FILE`` (relative to itself) and then states only what differs.  The
    experiment's ``name`` is that of the file unless it gives one.

    Parameters
    ----------
    path : Path
        The YAML file.
    overrides : sequence of str
        "a.b=value" each, the value in YAML; applied last.
    seed : int, optional
        Replaces the experiment's seed.

    Raises
    ------
    ConfigError
        If a file cannot be read, or a key is unknown, missing, of a wrong type or out of range.
    """
    path = Path(path)
    values = _read(path, ())
    values.setdefault("name", path.stem)
    for override in overrides:
        _apply(values, override)
    if seed is not None:
        values["seed"] = seed
    return _validate(values, str(path))


def stated_settings(path: Path) -> List[str]:
    """Return what an experiment's file states beyond its base, as overrides: an ablation, to apply to another one."""
    _, values = _read_one(Path(path))
    values.pop("name", None)
    try:
        _plain(values, "")
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return _flattened(values)


def base_of(path: Path) -> Optional[Path]:
    """Return the file that an experiment's file names as its base, if it does."""
    base, _ = _read_one(Path(path))
    return None if base is None else Path(path).parent / base


def _read(path: Path, seen: Tuple[Path, ...]) -> Dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path}: is its own base, by way of {' and '.join(str(p) for p in seen)}")
    base, values = _read_one(path, f", the base of {seen[-1]}," if seen else "")
    if base is None:
        return values
    return _merged(_read(path.parent / base, (*seen, path.resolve())), values)


def _read_one(path: Path, whose: str = "") -> Tuple[Optional[str], Dict[str, Any]]:
    """Return the base that a file names, and what it states itself."""
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "it is no file")
        if path.stat().st_size > _MOST_BYTES:
            raise OSError(0, f"it has {path.stat().st_size} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a ValueError is of bytes that are no text, or a path with a null byte
        why = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, UnicodeDecodeError):
            why = "it is no UTF-8 text"
        raise ConfigError(f"{path}{whose}: cannot be read ({why}): expected an experiment in YAML") from None
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        what = "it is empty" if values is None else f"it is {shown(values)}"
        raise ConfigError(f"{path}: expected an experiment, that is 'key: value' lines: {what}")
    stored = path.name == CONFIG and (path.parent / INPUTS).exists()  # by a stage, of whatever version
    values = current_names(values, "" if stored else str(path))
    base: Any = values.pop("base", None)
    try:
        if not isinstance(base, (str, type(None))):
            raise ValueError
        return base if base is None else given_path(base), values
    except ValueError:
        raise ConfigError(f"{path}: base is {shown(base)}: expected the path of another experiment file") from None


def _flattened(values: Dict[str, Any], prefix: str = "") -> List[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict) and all(isinstance(name, str) and name.isidentifier() for name in value):
            lines += _flattened(value, f"{prefix}{key}.")
        else:  # of class names with dots in them, too
            lines.append(f"{prefix}{key}={json.dumps(value, ensure_ascii=False)}")
    return lines


def _merged(base: Any, changes: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    if changes.get("dataset", base.get("dataset")) != base.get("dataset"):  # of another layout: nothing is shared
        return changes
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merged(base.get(key), value)
    return merged


def _apply(values: Dict[str, Any], override: str) -> None:
    key, equals, text = (part.strip() for part in override.partition("="))
    where = f"--set {' '.join(override[:_LONGEST_OVERRIDE].split())}"
    if not (key and equals):
        raise ConfigError(f"{where}: expected key=value, as in --set source.iterations=100")
    if not text:
        raise ConfigError(f"{where}: no value: expected one after the =, null for none, or \"''\" for an empty text")
    *parents, last = current_name(key, where).split(".")
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            raise ConfigError(f"{where}: {parent} is a value, not a section, and has no keys below it")
    section[last] = text if text.startswith("#") else parse_yaml(text, where)  # a colour, and no comment
    values.update(current_names(values, where))


def _validate(values: Dict[str, Any], where: str) -> Experiment:
    try:
        return Experiment.model_validate(_plain(values, ""))
    except ValidationError as error:
        raise ConfigError(f"{where}: {in_plain_words(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from None


def _plain(value: Any, key: str) -> Any:
    """Turn lists to the tuples that strict checking asks for, and refuse YAML's other types."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"{key or 'the top level'} has a key that is no text: {shown(name)}: put it in quotes")
        return {_joined(name): _plain(item, f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_plain(item, key) for item in value)
    if isinstance(value, str):
        return _joined(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"{key} = {shown(value)}: expected a number, a text, a list or a section")


def _joined(value: str) -> str:
    """Join what JSON, and so its text in a YAML file, has of an emoji: two halves of UTF-16."""
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:  # the type of the setting says what is wrong
        return value
