"""The classifier C: atrous spatial pyramid pooling straight to the class scores (P §2.4)."""

import math

from mxnet.gluon import HybridBlock, nn

RATES = (1, 2, 4, 8)

# oneDNN runs a 3x3 convolution several times faster when its output channels fill whole vector registers.
_VECTOR_CHANNELS = 16


class PaddedConv2D(nn.Conv2D):
    """A convolution that computes with zero filters added up to a multiple of 16 channels, and drops their output.

    Parameters, keys and results are those of `mxnet.gluon.nn.Conv2D`; only the speed differs.
    """

    def hybrid_forward(self, F, x, weight, bias=None):
        """Convolve ``x``, (N, in_channels, h, w), to (N, channels, h, w)."""
        filters = self._channels + -self._channels % _VECTOR_CHANNELS
        arrays = [_padded(F, array, self._channels, filters) for array in (weight, bias) if array is not None]
        scores = F.Convolution(x, *arrays, **dict(self._kwargs, num_filter=filters))
        scores = F.slice_axis(scores, axis=1, begin=0, end=self._channels)
        return scores if self.act is None else self.act(scores)


def _padded(F, array, length: int, wanted: int):
    """Append zeros to the first axis; made from the array itself, so that they lie on its device."""
    zeros = [F.zeros_like(array)] * math.ceil((wanted - length) / length)
    return F.slice_axis(F.concat(array, *zeros, dim=0), axis=0, begin=0, end=wanted)


class Classifier(HybridBlock):
    """Four parallel 3x3 convolutions with dilation 1, 2, 4 and 8, summed.

    Input: F(X), (N, in_channels, h, w).  Output: logits (N, num_classes, h, w).
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs):
        super().__init__(**kwargs)
        for index, rate in enumerate(RATES, start=1):
            branch = PaddedConv2D(num_classes, kernel_size=3, padding=rate, dilation=rate, in_channels=in_channels)
            setattr(self, f"b{index}", branch)

    def hybrid_forward(self, F, feature):
        """Score every cell of the feature map."""
        return self.b1(feature) + self.b2(feature) + self.b3(feature) + self.b4(feature)
