"""The networks, one block per box of the paper's figures.  They know nothing of files or configs."""

from gluon_madapt.models import _gluoncv  # noqa: F401 - before all that imports GluonCV
from gluon_madapt.models.discriminator import HALVINGS, Discriminator
from gluon_madapt.models.segmenter import Segmenter

__all__ = ["HALVINGS", "Discriminator", "Segmenter"]
