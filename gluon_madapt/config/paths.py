"""Reads a path that a user gives, in a config or on the command line."""

import os

# Of Linux, in bytes: a path, and a name in it.
_LONGEST_PATH, _LONGEST_NAME = 4095, 255


def given_path(text: str) -> str:
    """Return a path with ``~`` and the variables that are set, such as ``$HOME``, replaced as a shell does.

    Raises
    ------
    ValueError
        If it is empty, which would be the current folder, or can be none; a plain text, for people.
    """
    if not text:
        raise ValueError("expected a path, not an empty text (the current folder is .)")
    if "\0" in text:
        raise ValueError("expected a path, which has no null character in it")
    path = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111 - pathlib raises where there is no such user
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError("expected a path, and it holds half a character") from None
    if len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME:
        raise ValueError(f"expected a path of {_LONGEST_PATH} bytes at most, and {_LONGEST_NAME} in each name")
    return path
