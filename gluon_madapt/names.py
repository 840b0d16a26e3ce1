"""Makes names that people chose, of files and classes, harmless where they are shown, and short where they are long."""

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterable, Iterator

from gluon_madapt.errors import UserError

# Control characters, line separators, what turns the direction of the text after it, and bytes that are no UTF-8,
# which Python has as lone surrogates.
_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN_LETTERS = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Of a file's name in bytes, nearly everywhere.
NAME_BYTES = 255
# Every file system that is in use takes so many: encrypted ones take fewer than others.
_BYTES_ANYWHERE = 143


def printable(text: str, kept: str = "") -> str:
    r"""Return a text with all that would act on a terminal or a page written out, as in ``\n``, ``\x1b``, ``\udcff``.

    ``kept`` are characters that stay as they are.
    """
    return _NOT_SHOWN.sub(lambda match: match[0] if match[0] in kept else _written_out(match[0]), text)


def _written_out(character: str) -> str:
    code = ord(character)
    return _SHOWN_LETTERS.get(character) or (f"\\x{code:02x}" if code < 1 << 8 else f"\\u{code:04x}")


def bytes_of(name: str) -> bytes:
    """Return a name as UTF-8; bytes of a file's name that are none stay what they are."""
    return name.encode(errors="surrogateescape")


def shortened(name: str, ending: str, most: int = _BYTES_ANYWHERE) -> str:
    """Return ``name + ending``, or a hash of the name and the ending where that has more than ``most`` bytes."""
    if len(bytes_of(name + ending)) <= most:
        return name + ending
    return hashlib.sha256(bytes_of(name)).hexdigest() + ending


@contextmanager
def utf8_path(path: Path) -> Iterator[str]:
    """Name a file, which need not be there, for a library that takes absolute names in UTF-8 alone."""
    name = str(path.absolute())
    if bytes_of(name) == name.encode(errors="replace"):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"link{path.suffix.encode('ascii', 'ignore').decode()}"
        link.symlink_to(name)
        yield str(link)


def check_lengths(folder: Path, names: Iterable[str], ending: str = "") -> None:
    """Refuse names of files, relative to a folder that need not be there, that its file system does not take.

    Raises
    ------
    UserError
        For the first that is too long, with the limit.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        most = os.pathconf(existing, "PC_NAME_MAX")
    except (OSError, ValueError):  # it does not say
        most = NAME_BYTES
    for name in names:
        for part in f"{name}{ending}".split("/"):
            if len(bytes_of(part)) > most:
                raise UserError(
                    f"{name}: cannot be written in {folder}: a name in it has {len(bytes_of(part))} bytes, and the "
                    f"file system takes {most}: rename it, or choose another folder"
                )
