"""Names the state of the code that made a result."""

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import List, Sequence

from gluon_madapt import __version__

_PACKAGE = Path(__file__).resolve().parent


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package's version and, where it runs from a git checkout, its commit: "0.1.0+g012b0023f5a7".

    ".changed" follows if a file that git knows differs from that commit.
    """
    commit = _git("rev-parse", "--short=12", "HEAD")
    # A package that is installed below somebody else's checkout is no part of it.
    if not commit or not _git("ls-files", "--", str(_PACKAGE / "__init__.py")):
        return __version__
    changed = ".changed" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{__version__}+g{commit}{changed}"


def with_this_code(before: Sequence[str]) -> List[str]:
    """Return the versions behind a result: those behind what it was made from, and this one."""
    return list(dict.fromkeys([*before, code_version()]))


def _git(*arguments: str) -> str:
    # Without its lock on the index, which a process that is killed would leave behind.
    command = ("git", "--no-optional-locks", "-C", str(_PACKAGE), *arguments)
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError:  # no git here
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
