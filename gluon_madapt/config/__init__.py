"""Reads an experiment: every setting typed and checked, from YAML with a base file and ``--set`` overrides.

Open `schema` first: it lists all settings.  `files` reads and merges the YAML, `values` says how to write a value.
"""

from gluon_madapt.config.files import ConfigError, base_of, load_experiment, stated_settings
from gluon_madapt.config.schema import (
    Adversarial,
    Bookkeeping,
    Data,
    Experiment,
    Input,
    LabelId,
    Retrain,
    Source,
    Training,
)

__all__ = [
    "Adversarial",
    "Bookkeeping",
    "ConfigError",
    "Data",
    "Experiment",
    "Input",
    "LabelId",
    "Retrain",
    "Source",
    "Training",
    "base_of",
    "load_experiment",
    "stated_settings",
]
