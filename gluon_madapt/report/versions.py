"""Lists what a run was made with and from: settings, versions, seeds, inputs."""

import platform
from importlib import metadata
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import yaml

from gluon_madapt.formats import NONE
from gluon_madapt.report.facts import RunFacts
from gluon_madapt.system.provenance import code_version

_PACKAGES = ("mxnet", "mxnet-cu112", "gluoncv", "numpy", "opencv-python", "Pillow", "numba", "matplotlib")


class Setting(NamedTuple):
    """A setting: its key, its value, and the stages that had it where they differ."""

    key: str
    value: str
    stages: str


class SettingGroup(NamedTuple):
    """The settings of a section of the config."""

    name: str
    settings: Sequence[Setting]


def settings_of(facts: RunFacts) -> List[SettingGroup]:
    """Return all settings, section by section; those in which stages differ once for each value."""
    by_stage = {stage: _flat(one.settings) for stage, one in facts.stages.items() if one.settings}
    if not by_stage:
        by_stage = {"": _flat(facts.run.experiment.model_dump(mode="json"))}
    groups: Dict[str, List[Setting]] = {}
    for key in dict.fromkeys(key for settings in by_stage.values() for key in settings):
        values: Dict[str, List[str]] = {}
        for stage, settings in by_stage.items():
            values.setdefault(_text(settings[key]) if key in settings else NONE, []).append(stage)
        section = key.split(".")[0] if "." in key else "experiment"
        for value, stages in values.items():
            groups.setdefault(section, []).append(Setting(key, value, ", ".join(stages) if len(values) > 1 else ""))
    return [SettingGroup(name, settings) for name, settings in groups.items()]


def manifest_inputs(facts: RunFacts) -> List[Tuple[str, str, str]]:
    """Return what each stage was made from: stage, name, fingerprint or hash."""
    return [
        (stage, str(name), _text(value))
        for stage, one in facts.stages.items()
        for name, value in one.inputs.items()
        if name != "workers" or str(value) != "1"
    ]


def code_of(facts: RunFacts) -> List[Tuple[str, str, str]]:
    """Return the seed and the versions of the code behind each stage."""
    return [
        (
            stage,
            NONE if one.metrics.seed is None else str(one.metrics.seed),
            ", ".join(one.metrics.code) or NONE,
        )
        for stage, one in facts.stages.items()
        if one.begun
    ]


def versions_here() -> List[Tuple[str, str]]:
    """Return the versions that wrote the report: of the code, of Python, of the packages that matter."""
    found = [("gluon_madapt", code_version()), ("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def _flat(values: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _text(value: Any) -> str:
    """Return a value as YAML writes it, on one line."""
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.replace("\n...\n", "").strip()
