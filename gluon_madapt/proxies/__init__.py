"""Proxy labels (P §2.3): which pixels to trust, and as what.  No networks and no files here."""

from gluon_madapt.proxies.confidence import adversarial_confidence
from gluon_madapt.proxies.selection import label_image
from gluon_madapt.proxies.thresholds import Thresholds, compute_thresholds

__all__ = ["Thresholds", "adversarial_confidence", "compute_thresholds", "label_image"]
