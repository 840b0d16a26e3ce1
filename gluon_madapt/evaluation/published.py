"""Holds the numbers of the paper's tables."""

from functools import lru_cache
from pathlib import Path
from typing import Dict

import yaml


@lru_cache(maxsize=1)
def published_tables() -> Dict:
    """Return the tables of the paper: per-class IoU and mIoU in percent; see the notes in ``published.yaml``."""
    return yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
