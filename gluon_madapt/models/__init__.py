"""The networks, a HybridBlock for each box of the paper's figures, and the losses.  No files or configs here.

Open `segmenter` first: F and C, composed of `encoders`, `fusion` and `classifier`.  `discriminator` is D1 and D2,
`losses` what both are trained with, `passes` what training compiles of the segmenter.  A `space` is what the
discriminators look at, features in the paper; `bilinear` brings maps to the size of the image.
"""

from gluon_madapt.models import _gluoncv  # noqa: F401 - before all that imports GluonCV
from gluon_madapt.models.discriminator import Cells, Discriminator
from gluon_madapt.models.segmenter import Segmenter
from gluon_madapt.models.space import Space
from gluon_madapt.models.spaces import SPACES

__all__ = ["SPACES", "Cells", "Discriminator", "Segmenter", "Space"]
