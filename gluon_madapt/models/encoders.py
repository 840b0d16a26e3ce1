"""Encoders: an ImageNet classification network cut into the four stages that the decoder fuses.

An encoder is not a block of its own: it lists the blocks that the segmenter adopts under their released names, and says
how to run them.  Each returns (c1, c2, c3, c4), the feature maps at 1/4, 1/8, 1/16 and 1/32 of the image.
"""

from typing import Callable, Dict, Tuple

from gluoncv.model_zoo.resnetv1b import BasicBlockV1b, resnet101_v1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet.gluon import HybridBlock, nn

# Makes a batch norm of ``in_channels``.
NormLayer = Callable[..., HybridBlock]


class ResNetEncoder:
    """The stages of a residual network that is not dilated.

    Attributes
    ----------
    channels : tuple of int
        Channels of c1 to c4; for ResNet101 256, 512, 1024 and 2048.
    stages : dict of str to HybridBlock
        The blocks with parameters, under the names that checkpoints use.
    """

    def __init__(self, stages: Dict[str, HybridBlock], channels: Tuple[int, int, int, int]):
        self.stages = stages
        self.channels = channels

    def __call__(self, x) -> Tuple:
        """Run the encoder on images, (N, 3, H, W) NDArray or Symbol."""
        x = self.stages["bn1"](self.stages["conv1"](x))
        x = self.stages["maxpool"](self.stages["relu"](x))
        c1 = self.stages["layer1"](x)
        c2 = self.stages["layer2"](c1)
        c3 = self.stages["layer3"](c2)
        c4 = self.stages["layer4"](c3)
        return c1, c2, c3, c4


class VGGEncoder:
    """VGG16 without batch norm; its first fully connected layer, fc6, is a 7x7 convolution to 4096 channels.

    Attributes
    ----------
    channels : tuple of int
        Channels of c1 to c4: 128, 256, 512 and 4096.
    stages : dict of str to HybridBlock
        One entry, "features".
    """

    # Positions of pool2, pool3 and pool4 in ``features``; c4 is the end.
    _POOLS = (9, 16, 23)

    def __init__(self, features: nn.HybridSequential):
        self.stages = {"features": features}
        self.channels = (128, 256, 512, 4096)

    def __call__(self, x) -> Tuple:
        """Run the encoder on images, (N, 3, H, W) NDArray or Symbol."""
        maps = []
        for i, layer in enumerate(self.stages["features"]):
            x = layer(x)
            if i in self._POOLS:
                maps.append(x)
        c1, c2, c3 = maps
        return c1, c2, c3, x


def resnet101(norm_layer: NormLayer) -> ResNetEncoder:
    """ResNet101 with the stride on the 3x3 convolution (GluonCV's ``resnet101_v1b``).  P §2.4, released code."""
    network = resnet101_v1b(pretrained=False, norm_layer=norm_layer)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return ResNetEncoder({name: getattr(network, name) for name in names}, (256, 512, 1024, 2048))


def vgg16_fc6(norm_layer: NormLayer) -> VGGEncoder:
    """VGG16 up to fc6, the dense layer reshaped to a convolution.  Released code."""
    features = nn.HybridSequential()
    for layer in vgg16(pretrained=False).features:
        if isinstance(layer, nn.Dense):
            break
        features.add(layer)
    features.add(nn.Conv2D(4096, kernel_size=7, padding=3, in_channels=512, activation="relu"))
    return VGGEncoder(features)


def small(norm_layer: NormLayer) -> ResNetEncoder:
    """Build the mini world's encoder: the shape of ResNet18 with 32, 64, 96 and 128 channels.  Ours."""
    channels = (32, 64, 96, 128)
    stages: Dict[str, HybridBlock] = {
        "conv1": nn.Conv2D(channels[0], kernel_size=7, strides=2, padding=3, use_bias=False, in_channels=3),
        "bn1": norm_layer(in_channels=channels[0]),
        "relu": nn.Activation("relu"),
        "maxpool": nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    }
    previous = channels[0]
    for index, width in enumerate(channels, start=1):
        stages[f"layer{index}"] = _basic_stage(previous, width, 1 if index == 1 else 2, norm_layer)
        previous = width
    return ResNetEncoder(stages, channels)


def _basic_stage(in_channels: int, channels: int, strides: int, norm_layer: NormLayer) -> nn.HybridSequential:
    downsample = None
    if strides != 1 or in_channels != channels:
        downsample = nn.HybridSequential()
        downsample.add(nn.Conv2D(channels, kernel_size=1, strides=strides, use_bias=False, in_channels=in_channels))
        downsample.add(norm_layer(in_channels=channels))
    stage = nn.HybridSequential()
    stage.add(BasicBlockV1b(channels, strides, downsample=downsample, norm_layer=norm_layer, norm_kwargs={}))
    stage.add(BasicBlockV1b(channels, norm_layer=norm_layer, norm_kwargs={}))
    return stage


ENCODERS: Dict[str, Callable] = {"resnet101": resnet101, "vgg16": vgg16_fc6, "small": small}
