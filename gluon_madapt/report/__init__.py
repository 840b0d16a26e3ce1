"""Numbers and networks -> pictures."""

from gluon_madapt.report.strips import picture_strip

__all__ = ["picture_strip"]
