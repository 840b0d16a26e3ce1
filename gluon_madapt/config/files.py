"""Reading an experiment from YAML, with a base file and overrides; whatever is wrong is named."""

import difflib
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type, get_args

import yaml
from pydantic import BaseModel, ValidationError

from gluon_madapt.config.schema import Experiment


class ConfigError(ValueError):
    """A setting that cannot be used: one line with the file, the key, the value and what was expected."""


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
    return _flattened(values)


# More than any experiment has; of what aliases repeat, every repetition counts.
_MOST_VALUES = 10_000
_MOST_BYTES = 1 << 20


# Characters of a value that a message shows.
_LONGEST_VALUE = 100


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that also reads 4e-3, which YAML 1.1 takes for a string, as a number, and no key twice."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _parse(text: str, where: str) -> Any:
    try:
        values = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: not valid YAML: {reason}") from None
    _refuse_endless(values, where)
    return values


def _refuse_endless(values: Any, where: str) -> None:
    """Refuse what aliases blow up, or make a part of itself: a short text can stand for more than memory holds."""
    left, number = [values], 0
    while left:
        value = left.pop()
        number += 1
        if number > _MOST_VALUES:
            raise ConfigError(f"{where}: holds more than {_MOST_VALUES} values: expected an experiment")
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, (list, tuple, set)):
            left += value


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
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}{whose}: cannot be read ({why}): expected an experiment in YAML") from None
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected an experiment, that is 'key: value' lines, not {type(values).__name__}")
    base = values.pop("base", None)
    if not (base is None or (isinstance(base, str) and "\0" not in base)):
        raise ConfigError(f"{path}: base is {base!r}: expected the path of another experiment file")
    return base, values


def _flattened(values: Dict[str, Any], prefix: str = "") -> List[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _flattened(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key}={json.dumps(value)}")
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
    key, equals, text = override.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set {override}: expected key=value, as in --set source.iterations=100")
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section, and has no keys below it")
    section[last] = _parse(text, f"--set {override}")


def _validate(values: Dict[str, Any], where: str) -> Experiment:
    try:
        return Experiment.model_validate(_plain(values, ""))
    except ValidationError as error:
        reasons = "; ".join(_explain(one) for one in _unknown_first(error))
        raise ConfigError(f"{where}: {' '.join(reasons.split())}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from None


def _plain(value: Any, key: str) -> Any:
    """Turn lists to the tuples that strict checking asks for, and refuse YAML's other types."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"{key or 'the top level'} has a key that is no text: {name!r}")
        return {_text(name, key): _plain(item, f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_plain(item, key) for item in value)
    if isinstance(value, str):
        return _text(value, key)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"{key} = {value!r}: expected a number, a text, a list or a section")


def _text(value: str, key: str) -> str:
    """Join what JSON, and so its text in a YAML file, has of an emoji: two halves of UTF-16."""
    if "\0" in value:
        raise ValueError(f"{key} = {value!r}: holds a null character, which no name has")
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError(
            f"{key} = {value!r}: holds bytes that are no UTF-8: rename what is called so, or name it by a link"
        ) from None


def _unknown_first(error: ValidationError) -> List[Dict[str, Any]]:
    # A misspelt key also leaves its right spelling missing: the cause comes before its effect.
    return sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")


def _explain(error: Dict[str, Any]) -> str:
    # What is in <> is no key: it tells which type of a value was looked for.
    location = tuple(part for part in error["loc"] if not str(part).startswith("<"))
    key = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        return f"{key} is not a setting" + _nearest(location)
    if error["type"] == "missing":
        return f"{key} is missing"
    message = error["msg"].replace("Value error, ", "").replace("Input should be", "expected")
    return f"{key} = {_shortened(repr(error['input']))}: {message[0].lower()}{message[1:]}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _nearest(location: Tuple) -> str:
    section: Type[BaseModel] = Experiment
    for part in location[:-1]:
        if isinstance(part, str):  # a number is a place in a list
            section = _section_in(section.model_fields[part].annotation)
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1, cutoff=0.5)
    prefix = "".join(f"{part}." for part in location[:-1])
    if close:
        return f": did you mean {prefix}{close[0]}?"
    return f": expected one of {', '.join(section.model_fields)}"


def _section_in(annotation: Any) -> Optional[Type[BaseModel]]:
    """Return the section in a type: itself, or what it is a list or an alternative of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
