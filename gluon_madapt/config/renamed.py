"""Renames settings that had another name in earlier versions, so that old files and command lines keep working."""

import logging
from functools import lru_cache
from typing import Any, Dict

# The name of then and the name of now; all are of one section.
_RENAMED = {
    "proxies.refresh": "proxies.adabn_batches",
    "evaluation.refresh": "evaluation.adabn_batches",
}

_log = logging.getLogger(__name__)


def current_names(values: Dict[str, Any], where: str = "") -> Dict[str, Any]:
    """Return the sections of an experiment under the names of now.

    A section that states a setting under both names stays as it is: the check of the keys refuses the old name.

    Parameters
    ----------
    values : dict
        The sections.
    where : str
        Who wrote them, for a warning that names both keys; "" for what an earlier version has stored.
    """
    values = dict(values)
    for old, new in _RENAMED.items():
        name, old_key = old.split(".")
        new_key, section = new.split(".")[1], values.get(name)
        if isinstance(section, dict) and old_key in section and new_key not in section:
            values[name] = {new_key if key == old_key else key: value for key, value in section.items()}
            if where:
                _warn(where, old, new)
    return values


def current_name(key: str, where: str) -> str:
    """Return the name of now of one setting, "section.key"; warn if it is another one."""
    new = _RENAMED.get(key, key)
    if new != key:
        _warn(where, key, new)
    return new


@lru_cache(maxsize=None)  # once, however often the same file is read
def _warn(where: str, old: str, new: str) -> None:
    _log.warning("%s: %s is now called %s: the old name still works", where, old, new)
