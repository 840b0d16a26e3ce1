"""Reads and writes the YAML of an experiment: no value has two meanings, none is shared, nothing in it is executed."""

import re
from typing import Any

import yaml


class ConfigError(ValueError):
    """A setting that cannot be used: one line with the file, the key, the value and what was expected."""


# More than any experiment has; of what aliases repeat, every repetition counts.
_MOST_VALUES = 10_000
# Digits of a number; one of more is a text.
_MOST_DIGITS = 40

_BOOL, _INT, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_WHOLE = r"(?:0|[1-9][0-9]*)"
# YAML 1.1 reads 010 as 8, 1:30 as 90, 1_0 as 10 and no as false, and 4e-3 as a text.  Here 4e-3 is a number, and those
# are texts: right where a text is expected, and an error where a number is.
_RESOLVED = (
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, rf"[-+]?(?:{_WHOLE}|[1-9][0-9]{{0,2}}(?:_[0-9]{{3}})+|0x[0-9a-fA-F]+|0b[01]+)", "-+0123456789"),
    (_FLOAT, rf"[-+]?(?:{_WHOLE}?\.[0-9]+|{_WHOLE}\.)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    (_FLOAT, rf"[-+]?{_WHOLE}[eE][-+]?[0-9]+", "-+0123456789"),
    (_FLOAT, r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)
# What the text of a number may be that is none, or none for certain.
_ZERO_LED = re.compile(r"[-+]?0[0-9_]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_TIME = re.compile(r"[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?")
_NEARLY = re.compile(r"[-+]?[0-9.,_]*[0-9][0-9.,_]*([eE][-+]?[0-9]+)?")
_BARE_COLOUR = re.compile(r"[ \t]*(#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}))(?![0-9A-Za-z_])")
_LOOKALIKES = str.maketrans({"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", **dict.fromkeys("“”„‘’‚«»", None)})


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, without values of two meanings, and no key twice."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, value in node.value:  # here: later, `<<` has put the keys of others among them
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
                seen.add(key.value)
            self._refuse_bare_colour(value)
        return node

    def compose_sequence_node(self, anchor):
        node = super().compose_sequence_node(anchor)
        for value in node.value:
            self._refuse_bare_colour(value)
        return node

    def _refuse_bare_colour(self, node):
        """Refuse a colour without quotes, of which YAML makes a comment, and of its place nothing."""
        if isinstance(node, yaml.ScalarNode) and node.value == "":
            mark = node.start_mark
            found = mark.buffer is not None and _BARE_COLOUR.match(mark.buffer, mark.pointer)
            if found:
                raise yaml.MarkedYAMLError(problem=_quote_colour(found.group(1)), problem_mark=mark)

    def construct_int(self, node):
        text = self.construct_scalar(node)
        return text if len(text) > _MOST_DIGITS else int(text.replace("_", ""), 0)

    def construct_real(self, node):
        text = self.construct_scalar(node).lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper; it puts quotes around all texts that any reader of YAML could take for something else."""

    yaml_implicit_resolvers = {first: list(found) for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()}


_Loader.add_constructor(_INT, _Loader.construct_int)
_Loader.add_constructor(_FLOAT, _Loader.construct_real)
for _tag, _pattern, _firsts in _RESOLVED:
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_firsts))
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_firsts))
_Dumper.add_implicit_resolver(_INT, re.compile(r"^[-+]?[0-9][0-9_:.]*$"), list("-+0123456789"))


def parse_yaml(text: str, where: str) -> Any:
    """Return what a text says: None, bool, int, float, str, and lists and dicts of them, each its own.

    An anchor's value is copied to each of its aliases, so that a change of one leaves the others as they are.

    Raises
    ------
    ConfigError
        If it is no YAML, or more than an experiment holds; ``where`` says whose text it is.
    """
    try:
        values = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(str(error.problem or error.context).split())
        raise ConfigError(f"{where}: not valid YAML: {place}{reason}{_hint(text, reason)}") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigError(f"{where}: not valid YAML: {reason}") from None
    _refuse_endless(values, where)
    return _unshared(values)


def yaml_of(values: Any) -> str:
    """Write plain values so that `parse_yaml`, and any other reader of YAML, reads the same ones back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def number_hint(text: str) -> str:
    """Say how a number is to be written that is a text as it stands; nothing of any other text."""
    if _ZERO_LED.fullmatch(text):
        plain = text.lstrip("+-0_") or "0"
        octal = f", or {int(text.replace('_', ''), 8)} if it is octal" if re.fullmatch("[-+]?[0-7_]+", text) else ""
        return f": a number has no zeros in front: write {plain}{octal}"
    if re.fullmatch("[-+]?0o[0-7]{1,40}", text):
        return f": write {int(text, 8)}"
    if _TIME.fullmatch(text):
        return ": write one number, without a colon"
    if text.isascii() and _NEARLY.fullmatch(text):
        return ": write digits, with a point before decimals and nothing between thousands"
    if not text.isascii() and text.translate(_LOOKALIKES).isascii():
        return f": write {text.translate(_LOOKALIKES)}, with plain signs"
    return ""


def _quote_colour(colour: str) -> str:
    return f"# begins a comment: put a colour in quotes, as in '{colour}'"


def _hint(text: str, reason: str) -> str:
    if "'\\t'" in reason:
        return ": indent with spaces, not with tabs"
    bare = re.search(r"[:,\[-]" + _BARE_COLOUR.pattern, text)
    return f": {_quote_colour(bare.group(1))}" if bare and "comment" not in reason else ""


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


def _unshared(value: Any) -> Any:
    """Copy lists and dicts, one for each place that they are in: `copy.deepcopy` would keep what is shared."""
    if isinstance(value, dict):
        return {name: _unshared(item) for name, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value
