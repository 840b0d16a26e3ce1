"""Tells whether the label files of stage 3 are still what it has written."""

import hashlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from gluon_madapt.data.file_cache import digests, read_once
from gluon_madapt.data.label_files import read_train_ids
from gluon_madapt.errors import UserError

_ANY_ID = 256


def labels_hash(labels: np.ndarray) -> str:
    """Return a hash of the labels of an image, (H, W) uint8."""
    return hashlib.sha256(labels.tobytes()).hexdigest()


def stored_hashes(paths: Sequence[Path], entries: Sequence[Dict[str, Any]]) -> List[Optional[str]]:
    """Return the `labels_hash` of what each file holds now; None of one that cannot be read.

    Files are decoded only where their bytes are not those of which ``entries`` of the log say what they hold.
    """
    hashes = [
        entry["sha256"] if digest and digest == entry.get("file_sha256") else None
        for digest, entry in zip(digests(paths), entries)
    ]
    others = [place for place, known in enumerate(hashes) if known is None]
    for place, labels in zip(others, read_once("labels", [paths[place] for place in others], _decoded)):
        hashes[place] = labels
    return hashes


def _decoded(path: Path) -> Optional[str]:
    try:
        return labels_hash(read_train_ids(path, _ANY_ID))
    except UserError:
        return None
