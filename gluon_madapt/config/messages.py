"""Says what is wrong with an experiment in plain words: the key, its value, and what was expected."""

import difflib
import json
from typing import Any, List, Mapping, Optional, Tuple, Type, Union, get_args

from pydantic import BaseModel, ValidationError

from gluon_madapt.config.schema import Experiment
from gluon_madapt.config.values import ONE_VALUE, VALUES
from gluon_madapt.config.yaml_text import number_hint

# Characters of a value that a message shows.
_LONGEST_VALUE = 100
# What was expected, by the type of pydantic's error; in {} its context.
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text, in quotes where it looks like something else",
    "string_too_short": "text of {min_length} characters or more",
    "string_too_long": "text of {max_length} characters or fewer",
    "tuple_type": "a list, as in [1, 2]",
    "too_short": "a list of {min_length} or more",
    "dict_type": "a section, that is key: value lines",
    "model_type": "a section, that is key: value lines",
    "model_attributes_type": "a section, that is key: value lines",
    "literal_error": "{expected}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "greater than or equal to {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "less than or equal to {le}",
}

_TAGS = (ONE_VALUE.tag, VALUES.tag)


def in_plain_words(error: ValidationError) -> str:
    """Return all that is wrong, on one line."""
    return " ".join("; ".join(_explain(details) for details in _unknown_first(error)).split())


def shown(value: Any) -> str:
    """Return a value as YAML would have it on one line, cut off where it is long."""
    if isinstance(value, str):
        text = repr(value[: _LONGEST_VALUE + 1])
    elif value is None or isinstance(value, bool):
        text = json.dumps(value)
    elif isinstance(value, (tuple, list)):
        text = f"[{', '.join(map(shown, value[:_LONGEST_VALUE]))}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {shown(item)}' for key, item in list(value.items())[:_LONGEST_VALUE])}}}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _unknown_first(error: ValidationError) -> List[Mapping[str, Any]]:
    # A misspelt key also leaves its right spelling missing: the cause comes before its effect.
    return sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")


def _explain(error: Mapping[str, Any]) -> str:
    # A tag is no key: it tells which type of a value was looked for.
    location = tuple(part for part in error["loc"] if part not in _TAGS)
    if error["type"] == "extra_forbidden":
        # It may be called as a tag is.
        location = (*(part for part in error["loc"][:-1] if part not in _TAGS), error["loc"][-1])
        return f"{'.'.join(map(str, location))} is not a setting" + _nearest(location)
    key = ".".join(map(str, location))
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "value_error":
        expected = str(error["ctx"]["error"])
    else:
        expected = f"expected {_EXPECTED.get(error['type'], 'another value').format(**error.get('ctx', {}))}"
        expected += ", or a list" * (error["loc"][-1] == ONE_VALUE.tag)
    if not key:  # of several settings together, which the message names
        return expected
    value = error["input"]
    return f"{key} = {shown(value)}: {expected}{number_hint(value) if isinstance(value, str) else ''}"


def _nearest(location: Tuple[Union[int, str], ...]) -> str:
    section: Type[BaseModel] = Experiment
    for part in location[:-1]:
        if isinstance(part, str):  # a number is a place in a list
            section = _section_in(section.model_fields[part].annotation) or section
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
