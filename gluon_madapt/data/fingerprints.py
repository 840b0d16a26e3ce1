"""Names the content of a data set by a short text, so that a stage can tell whether its data are still the same."""

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any, List, Sequence

from gluon_madapt.data.file_cache import digests
from gluon_madapt.data.layouts import Sample
from gluon_madapt.names import bytes_of

_FORM = re.compile(
    r"\d+ images, (?P<images>[0-9a-f]{16})(, labels (?P<labels>[0-9a-f]{16}))?(, ids (?P<ids>[0-9a-f]{8}))?"
)
_OLDER_FORM = re.compile(r"\d+ images, [0-9a-f]{8}(, labels [0-9a-f]{8})?")
_PARTS = {"images": "images", "labels": "label files", "ids": "meaning of the labels"}


class Fingerprint(str):
    """A text that differs for other content; ``samples`` and ``ids`` are what it was made from."""

    samples: Sequence[Sample]
    ids: str

    @property
    def older(self) -> str:
        """What earlier versions wrote of the same data, which differs for other names and file sizes alone."""
        sizes = "\n".join(f"{sample.name} {_file_size(sample.image)}" for sample in self.samples)
        ids = f", labels {self.ids}" if self.ids else ""
        return f"{len(self.samples)} images, {zlib.crc32(bytes_of(sizes)):08x}{ids}"


def fingerprint_of(samples: Sequence[Sample], ids: str = "") -> Fingerprint:
    """Return the fingerprint of samples: of their names, images and, where there are any, label files.

    Where the files lie, and when they were written, is no part of it.

    Parameters
    ----------
    samples : sequence of Sample
        The samples, all or none of which have labels.
    ids : str
        Eight digits for what the ids in labels mean, where they are one's own.
    """
    names = [sample.name for sample in samples]
    parts = [f"{len(samples)} images, {_digest(names, [sample.image for sample in samples])}"]
    if samples and samples[0].label is not None:
        parts.append(f"labels {_digest(names, [sample.label for sample in samples if sample.label])}")
    if ids:
        parts.append(f"ids {ids}")
    fingerprint = Fingerprint(", ".join(parts))
    fingerprint.samples, fingerprint.ids = samples, ids
    return fingerprint


def is_same(before: Any, now: Any) -> bool:
    """Tell whether a record is equal to what there is now; fingerprints of earlier versions count as their new form."""
    if before == now:
        return True
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(is_same(before[key], now[key]) for key in now)
    older = isinstance(now, Fingerprint) and isinstance(before, str) and _OLDER_FORM.fullmatch(before)
    return bool(older) and before == now.older


def in_older_form(value: Any) -> Any:
    """Return a fingerprint, or each in a dict, in its older form; anything else as it is."""
    if isinstance(value, dict):
        return {key: in_older_form(entry) for key, entry in value.items()}
    return value.older if isinstance(value, Fingerprint) else value


def difference(before: Any, now: Any) -> str:
    """Say in words what differs between two fingerprints, or nothing if that is not known."""
    old, new = (_FORM.fullmatch(text) if isinstance(text, str) else None for text in (before, now))
    if not (old and new):
        return ""
    differing = [words for part, words in _PARTS.items() if old[part] != new[part]]
    same = [words for part, words in _PARTS.items() if old[part] == new[part] is not None]
    return f"other {' and '.join(differing)}" + f", the same {' and '.join(same)}" * bool(same)


def _digest(names: List[str], paths: Sequence[Path]) -> str:
    facts = (f"{digest or 'unreadable'} {name}" for name, digest in zip(names, digests(paths)))
    return hashlib.sha256(bytes_of("\n".join(facts))).hexdigest()[:16]


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
