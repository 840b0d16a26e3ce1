"""Defines the types of settings: what a value may be, how else it may be written, and what is said of a wrong one."""

import re
from typing import Any, Literal, Tuple, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, PlainSerializer, PlainValidator, Tag
from typing_extensions import Annotated  # typing's, from Python 3.9 on

from gluon_madapt.config.paths import given_path

# Whole numbers above are not told apart by floats.
_EXACT = 2**53
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}
_DEVICES = "expected auto, cpu(0), gpu(0), or different devices of one kind, as in [gpu(0), gpu(1)]"


def _whole(value: Any) -> Any:
    """Return 1e3 as 1000; Python would take true for 1."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number")
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT else value


# A whole number, 1e3 included.
WHOLE = BeforeValidator(_whole)
Whole = Annotated[int, WHOLE]


def _switch(value: Any) -> Any:
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


# true and false, or what YAML 1.1 takes for them.
Switch = Annotated[bool, BeforeValidator(_switch)]


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "expected text, and it holds half a character, or bytes that are no UTF-8: rename what is called so, "
            "or name it by a link"
        ) from None
    if "\0" in value:
        raise ValueError("expected text, which has no null character in it")
    return value


Text = Annotated[str, AfterValidator(_text)]
# As a user would give it to a shell.
PathText = Annotated[str, AfterValidator(given_path), AfterValidator(_text)]


def _colour(value: str) -> str:
    if not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise ValueError("expected a colour as in '#804080', in quotes")
    return value


Colour = Annotated[str, AfterValidator(_colour)]


def _label_id(value: Any) -> Union[int, str]:
    value = value if isinstance(value, bool) else _whole(value)
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 16
    if number or (isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value)):
        return value
    raise ValueError("expected a label id, a number from 0 to 65535, or a colour as in '#804080', in quotes")


# What a label file holds for a pixel.
LabelId = Annotated[Union[int, str], PlainValidator(_label_id)]


def device_name(text: str) -> str:
    """Return the name of a device as MXNet writes it: gpu(1) for gpu:1 or cuda:1, gpu(0) for gpu; or auto.

    Raises
    ------
    ValueError
        If the text names no device.
    """
    match = re.fullmatch(r"(cpu|gpu|cuda)(?:\(([0-9]{1,3})\)|:?([0-9]{1,3}))?", text.strip().lower())
    if match:
        kind, *numbers = match.groups()
        return f"{kind.replace('cuda', 'gpu')}({int(next(filter(None, numbers), '0'))})"
    if text.strip().lower() == "auto":
        return "auto"
    raise ValueError(_DEVICES)


def _devices(value: Any) -> Union[str, Tuple[str, ...]]:
    texts = value if isinstance(value, tuple) else (value,)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(_DEVICES)
    names = tuple(map(device_name, texts))
    if names == ("auto",):
        return "auto"
    if "auto" in names or len(set(names)) < len(names) or len({name[:3] for name in names}) > 1:
        raise ValueError(_DEVICES)
    return names


# Without a serializer Pydantic tries both alternatives, and warns of each.
Devices = Annotated[
    Union[Literal["auto"], Tuple[str, ...]],
    PlainValidator(_devices),
    PlainSerializer(lambda value: value if isinstance(value, str) else list(value), when_used="json"),
]


def a_pair(what: str) -> BeforeValidator:
    """Return the check of a list of two values; ``what`` says which, for messages."""

    def checked(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != 2:
            raise ValueError(f"expected {what}")
        return value

    return BeforeValidator(checked)


# Of a setting that is one value or a list: its two alternatives, and what tells one from the other.  In the place of an
# error, the tags are no keys of the config.
ONE_VALUE, VALUES = Tag("<one>"), Tag("<list>")
ONE_OR_LIST = Discriminator(lambda value: (VALUES if isinstance(value, tuple) else ONE_VALUE).tag)
