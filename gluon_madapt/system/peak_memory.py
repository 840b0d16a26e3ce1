"""Tells the largest resident memory that this process has had."""

import re
import resource
import sys
from pathlib import Path

_KIB, _GIB = 2**10, 2**30


def peak_memory_gib() -> float:
    """Return the largest resident set of this process so far, in GiB; memory of a GPU is not in it."""
    try:
        # Not getrusage, if it can be helped: there a process begins with the peak of the one that has started it.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        peak = None
    if peak:
        return int(peak.group(1)) * _KIB / _GIB
    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB
