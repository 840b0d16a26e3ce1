"""What the paper prints in its tables, as data."""

from functools import lru_cache
from pathlib import Path
from typing import Dict

import yaml


@lru_cache(maxsize=1)
def published_tables() -> Dict:
    """Return the tables of the paper: per-class IoU and mIoU in percent; see the notes in ``published.yaml``."""
    return yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))


def published_ablation(discriminators: int, proxy: bool, multi_scale: bool) -> float:
    """Return the mIoU of a row of Table 3, in percent."""
    wanted = {"discriminators": discriminators, "proxy": proxy, "multi_scale": multi_scale}
    for row in published_tables()["ablation_modules"]["rows"]:
        if wanted.items() <= row.items():
            return row["miou"]
    raise KeyError(f"Table 3 has no row with {wanted}")
