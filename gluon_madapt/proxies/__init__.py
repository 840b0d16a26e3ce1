"""Proxy labels (P §2.3): which pixels to trust, and as what.  No networks and no files here."""

from gluon_madapt.proxies.audit import Audit
from gluon_madapt.proxies.confidence import adversarial_confidence
from gluon_madapt.proxies.selection import choose, label_image
from gluon_madapt.proxies.thresholds import Shares, Thresholds, ThresholdSearch, compute_thresholds

__all__ = [
    "Audit",
    "Shares",
    "ThresholdSearch",
    "Thresholds",
    "adversarial_confidence",
    "choose",
    "compute_thresholds",
    "label_image",
]
