"""A look at all that a run needs, before days are spent on it: data, weights, devices, memory, disk, packages.

Open `examination` first: the list of what is looked at.
"""

from gluon_madapt.doctor.examination import examine
from gluon_madapt.doctor.findings import ERROR, OK, WARNING, Finding

__all__ = ["ERROR", "OK", "WARNING", "Finding", "examine"]
