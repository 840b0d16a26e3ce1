"""Proxy labels (P §2.3): which pixels to trust, and as what.  Arrays only: no networks and no files.

Open `selection` first: it applies both thresholds to an image (P Eq. 5).  `confidence` combines the discriminators'
maps, `thresholds` finds t1 and t2 over a whole set, `portions` says how p2 grows over rounds, `audit` compares proxies
with the truth, and `roc` measures how well the scores that they are chosen by tell right predictions from wrong ones.
"""

from gluon_madapt.proxies.audit import Audit
from gluon_madapt.proxies.confidence import adversarial_confidence
from gluon_madapt.proxies.portions import portion_of_round
from gluon_madapt.proxies.roc import RocCounts
from gluon_madapt.proxies.selection import choose, label_image
from gluon_madapt.proxies.thresholds import Shares, Thresholds, ThresholdSearch, compute_thresholds

__all__ = [
    "Audit",
    "RocCounts",
    "Shares",
    "ThresholdSearch",
    "Thresholds",
    "adversarial_confidence",
    "choose",
    "compute_thresholds",
    "label_image",
    "portion_of_round",
]
