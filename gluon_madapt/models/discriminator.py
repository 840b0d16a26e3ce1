"""The patch-based discriminators D1 on F(X) and D2 on F_l(X) (P §2.2, §2.4)."""

from typing import Dict

from mxnet.gluon import HybridBlock, nn

WIDTHS = (64, 128, 256)
LEAK = 0.2

# Pixels of the image to a cell of the map that a discriminator looks at, and to a cell of what it says (P §2.4).
INPUT_STRIDES = {"D1": 4, "D2": 16}
OUTPUT_STRIDE = 32


def halvings(number: int, output_stride: int = OUTPUT_STRIDE) -> Dict[str, int]:
    """Return how often D1, or D1 and D2, halve their maps to end at 1/output_stride of the image.

    Parameters
    ----------
    number : int
        0 (neither), 1 (D1) or 2.
    output_stride : int
        4, 8, 16 or 32.  A discriminator whose map is coarser than that stays there.

    Returns
    -------
    dict of str to int
        By name: {"D1": 3, "D2": 1} for two at 1/32, {"D1": 0, "D2": 0} at 1/4, where D2 stays at 1/16.
    """
    names = list(INPUT_STRIDES)[:number]
    return {name: max(0, (output_stride // INPUT_STRIDES[name]).bit_length() - 1) for name in names}


def cells_across(pixels: int, name: str, halved: int) -> int:
    """Return how many cells D1 or D2, which halves its map so often, makes of so many pixels of a side."""
    return -(-pixels // INPUT_STRIDES[name]) >> halved


class Discriminator(HybridBlock):
    """A small fully convolutional network that tells source features from target features, cell by cell.

    Three 3x3 convolutions, each with a leaky ReLU, then one to a single channel; the first ``halvings`` convolutions
    are followed by 2x2 average pooling of stride 2.  The paper leaves depth and widths open: these are ours.

    Parameters
    ----------
    in_channels : int
        Channels of the feature map.
    halvings : int
        As of `halvings`: 3 for D1 on F(X), 1 for D2 on F_l(X) in the paper.

    Input: (N, in_channels, H, W).  Output: (N, 1, h, w) logits of "source", h = H // 2**halvings.
    """

    def __init__(self, in_channels: int, halvings: int, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= halvings <= len(WIDTHS):
            raise ValueError(f"halvings must be 0 to {len(WIDTHS)}, not {halvings}")
        self.layers = nn.HybridSequential()
        for index, width in enumerate(WIDTHS):
            self.layers.add(nn.Conv2D(width, kernel_size=3, padding=1, in_channels=in_channels))
            self.layers.add(nn.LeakyReLU(LEAK))
            if index < halvings:
                self.layers.add(nn.AvgPool2D(pool_size=2, strides=2))
            in_channels = width
        self.layers.add(nn.Conv2D(1, kernel_size=3, padding=1, in_channels=in_channels))

    def hybrid_forward(self, F, feature):
        """Return the logit of "source" for every patch."""
        return self.layers(feature)
