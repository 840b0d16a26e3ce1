"""Lists the spaces that can be aligned, by the value of ``adversarial.align``."""

from typing import Dict, Type

from gluon_madapt.models.feature_space import FeatureSpace
from gluon_madapt.models.output_space import OutputSpace
from gluon_madapt.models.space import Space

SPACES: Dict[str, Type[Space]] = {"features": FeatureSpace, "outputs": OutputSpace}

# Of a checkpoint that does not say it: an earlier version's.
OLDEST = "features"
