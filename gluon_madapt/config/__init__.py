"""Reads an experiment: every setting typed and checked, from YAML with a base file and ``--set`` overrides.

Open `schema` first: it lists all settings, and `data_sections` those of the data.  `files` reads and merges the YAML,
`values` says how to write a value.
"""

from gluon_madapt.config.data_sections import Data
from gluon_madapt.config.files import ConfigError, base_of, load_experiment, stated_settings
from gluon_madapt.config.schema import (
    Adversarial,
    Bookkeeping,
    Experiment,
    Input,
    Retrain,
    Source,
    Training,
)
from gluon_madapt.config.values import LabelId

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
