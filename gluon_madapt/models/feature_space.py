"""Aligns features, as the paper does: D1 looks at F(X), D2 at the mid-level map F_l(X) (P §2.2)."""

from typing import Any, Mapping, Tuple

from mxnet.gluon import HybridBlock

from gluon_madapt.models.discriminator import INPUT_STRIDES, Cells, Discriminator
from gluon_madapt.models.fusion import FEATURE_CHANNELS
from gluon_madapt.models.segmenter import Segmenter
from gluon_madapt.models.space import Outputs, Space


class FeatureSpace(Space):
    """F(X) for D1, (N, 128, H/4, W/4), and F_l(X) for D2, (N, C, H/16, W/16); nothing is added to F and C."""

    starts_at = INPUT_STRIDES
    maps_of = tuple(INPUT_STRIDES)

    def __init__(self, net: Segmenter, cells: Mapping[str, Cells]):
        super().__init__(net, cells)
        self.added = {}

    def discriminator(self, net: Segmenter, name: str, halvings: int) -> HybridBlock:
        """Build D1 or D2 for its map, which it is to halve so often."""
        channels = {"D1": FEATURE_CHANNELS, "D2": net.mid_channels}
        return Discriminator(channels[name], halvings)

    def maps(self, F, outputs: Outputs, images) -> Tuple[Any, ...]:
        """Return F(X) and F_l(X)."""
        return outputs.feature, outputs.mid
