"""The patch-based discriminators D1 on F(X) and D2 on F_l(X) (P §2.2, §2.4)."""

from typing import NamedTuple

from mxnet.gluon import HybridBlock, nn

WIDTHS = (64, 128, 256)
LEAK = 0.2

# Pixels of the image to a cell of the map that a discriminator looks at, and to a cell of what it says (P §2.4).
INPUT_STRIDES = {"D1": 4, "D2": 16}
OUTPUT_STRIDE = 32


class Cells(NamedTuple):
    """How finely a discriminator looks, and speaks.

    Attributes
    ----------
    starts_at : int
        The side of a cell of the map that it looks at, in pixels of the image.
    halvings : int
        How often it halves its map, rounding down.
    """

    starts_at: int
    halvings: int

    @classmethod
    def between(cls, starts_at: int, ends_at: int) -> "Cells":
        """Return those that end at so many pixels of the image, or stay where they start if that is coarser."""
        return cls(starts_at, max(0, (ends_at // starts_at).bit_length() - 1))

    def across(self, pixels: int) -> int:
        """Return how many cells it says something of, for so many pixels of a side."""
        return -(-pixels // self.starts_at) >> self.halvings

    @property
    def least_side(self) -> int:
        """The fewest pixels of a side that leave it a cell.

        Its map needs 2**halvings cells; the last of them may be a part of one.
        """
        return (2**self.halvings - 1) * self.starts_at + 1


class Discriminator(HybridBlock):
    """A small fully convolutional network that tells source features from target features, cell by cell.

    Three 3x3 convolutions, each with a leaky ReLU, then one to a single channel; the first ``halvings`` convolutions
    are followed by 2x2 average pooling of stride 2.  The paper leaves depth and widths open: these are ours.

    Parameters
    ----------
    in_channels : int
        Channels of the feature map.
    halvings : int
        3 for D1 on F(X), 1 for D2 on F_l(X) in the paper.

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
