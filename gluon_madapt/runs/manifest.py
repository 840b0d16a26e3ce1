"""Writes the settings and inputs that a stage is begun with, and compares them with those of today."""

import itertools
from pathlib import Path
from typing import Any, Dict, List, Sequence

from gluon_madapt.config import Experiment
from gluon_madapt.config.renamed import current_names
from gluon_madapt.data.fingerprints import difference, is_same
from gluon_madapt.files.json_files import read_json, read_settings, write_json, write_text
from gluon_madapt.run_layout import CHECKPOINT, CONFIG, INPUTS

# Settings that change how a stage is computed and not what: it goes on under others.
_WITHOUT_EFFECT = ("recompute",)


def write_manifest(folder: Path, experiment: Experiment, inputs: Dict[str, str]) -> None:
    """Write the resolved config and the inputs of a stage to its folder."""
    write_text(folder / CONFIG, experiment.to_yaml())
    write_json(folder / INPUTS, inputs)  # last: it marks a stage that was begun


def has_manifest(folder: Path) -> bool:
    """Tell whether a stage was begun in a folder."""
    return (folder / INPUTS).exists()


def manifest_inputs(folder: Path) -> Dict[str, str]:
    """Return the inputs of the stage that was begun in a folder."""
    return read_json(folder / INPUTS)


def changes_since(folder: Path, experiment: Experiment, sections: Sequence[str], inputs: Dict[str, str]) -> List[str]:
    """Name the settings and the inputs in which a stage that was begun differs from now.

    Parameters
    ----------
    folder : Path
        The folder of the stage; a stage that was not begun differs in nothing.
    experiment : Experiment
        The settings of now.
    sections : sequence of str
        The sections of the config that are compared.
    inputs : dict of str to str
        The inputs of now, or some of them.

    Raises
    ------
    UserError
        If the manifest cannot be read.
    """
    if not has_manifest(folder):
        unknown = sections and (folder / CHECKPOINT).exists()
        return ["what it was made from is not known, for want of inputs.json"] if unknown else []
    before = current_names(read_settings(folder / CONFIG)) if sections else {}
    now = experiment.model_dump(mode="json")
    stated = experiment.model_dump(mode="json", exclude_defaults=True)
    changes: List[str] = []
    for section in sections:
        changes += _differences(section, before.get(section), now[section], stated.get(section))
    made_from = {"workers": "1", **manifest_inputs(folder)}
    for name, value in inputs.items():
        if not is_same(made_from.get(name), value):
            words = difference(made_from.get(name), value)
            changes.append(_change(f"made from.{name}", made_from.get(name), value) + f" ({words})" * bool(words))
    return changes


def _differences(key: str, before: Any, now: Any, stated: Any) -> List[str]:
    """Name what differs; ``stated`` is ``now`` without what has its default value.

    A setting that an older version did not know counts as having had its default.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        stated = stated or {}
        known = [name for name in now if name in before or name in stated]
        names = [*known, *(name for name in before if name not in now)]
        names = [name for name in names if name not in _WITHOUT_EFFECT]
        lines = [_differences(f"{key}.{name}", before.get(name), now.get(name), stated.get(name)) for name in names]
        return list(itertools.chain.from_iterable(lines))
    return [] if before == now else [_change(key, before, now)]


def _change(key: str, before: Any, now: Any) -> str:
    return f"{key} was {before}, now {now}"
