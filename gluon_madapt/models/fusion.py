"""The decoder's fusion block (P Fig. 4)."""

from mxnet.gluon import HybridBlock, nn

from gluon_madapt.models.bilinear import resize_like

# The decoder reduces every map to this many channels (P §2.4); F(X) has as many.
FEATURE_CHANNELS = 128


class FusionBlock(HybridBlock):
    """Add an upper, coarser map to a lower, finer one, both brought to 128 channels.

    The upper map goes through batch norm, ReLU and a dilated 3x3 convolution, and is then upsampled to the lower map's
    size; the lower map goes through a 1x1 convolution.

    Parameters
    ----------
    upper_channels, lower_channels : int
        Channels of the two inputs.
    rate : int
        Dilation of the 3x3 convolution.
    norm_layer : callable
        Makes a batch norm of ``in_channels``.

    Inputs: upper (N, upper_channels, h, w), lower (N, lower_channels, H, W).  Output: (N, 128, H, W).
    """

    def __init__(self, upper_channels: int, lower_channels: int, rate: int, norm_layer=nn.BatchNorm, **kwargs):
        super().__init__(**kwargs)
        self.adapt1 = nn.HybridSequential()
        self.adapt1.add(norm_layer(in_channels=upper_channels))
        self.adapt1.add(nn.Activation("relu"))
        self.adapt1.add(
            nn.Conv2D(FEATURE_CHANNELS, kernel_size=3, padding=rate, dilation=rate, in_channels=upper_channels)
        )
        self.adapt2 = nn.Conv2D(FEATURE_CHANNELS, kernel_size=1, in_channels=lower_channels)

    def hybrid_forward(self, F, upper, lower):
        """Fuse the two maps."""
        lower = self.adapt2(lower)
        return resize_like(F, self.adapt1(upper), lower) + lower
