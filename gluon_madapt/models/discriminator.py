"""The patch-based discriminators D1 on F(X) and D2 on F_l(X) (P §2.2, §2.4)."""

from mxnet.gluon import HybridBlock, nn

WIDTHS = (64, 128, 256)
LEAK = 0.2

# Both discriminators end at 1/32 of the image: D1 starts at 1/4, D2 at 1/16 (P §2.4).
HALVINGS = {"D1": 3, "D2": 1}


class Discriminator(HybridBlock):
    """A small fully convolutional network that tells source features from target features, cell by cell.

    Three 3x3 convolutions, each with a leaky ReLU, then one to a single channel; the first ``halvings`` convolutions
    are followed by 2x2 average pooling of stride 2.  The paper leaves depth and widths open: these are ours.

    Parameters
    ----------
    in_channels : int
        Channels of the feature map.
    halvings : int
        3 for D1 on F(X), 1 for D2 on F_l(X).

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
