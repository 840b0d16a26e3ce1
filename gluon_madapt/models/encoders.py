"""Encoders: an ImageNet classification network cut into the four stages that the decoder fuses.

An encoder is not a block of its own: it lists the blocks that the segmenter adopts under their released names, and says
how to run them.  Each returns (c1, c2, c3, c4), the feature maps at 1/4, 1/8, 1/16 and 1/32 of the image.
"""

from typing import Callable, Dict, List, Sequence, Tuple

from gluoncv.model_zoo.resnetv1b import BasicBlockV1b, resnet101_v1b
from gluoncv.model_zoo.vgg import vgg16
from mxnet.gluon import HybridBlock, nn

# Makes a batch norm of ``in_channels``.
NormLayer = Callable[..., HybridBlock]

# Blocks of layer3 in a segment: the activations of so many are below those of layer1.
_BLOCKS = 6


class Encoder:
    """A chain of blocks.

    Parameters
    ----------
    stages : dict of str to HybridBlock
        The blocks with parameters, under the names that checkpoints use.
    segments : list of list of HybridBlock
        The chain, in segments: training that recomputes keeps what lies between two of them.
    ends : tuple of int
        The segments whose output c1 to c4 are.
    channels : tuple of int
        Channels of c1 to c4.
    """

    def __init__(
        self,
        stages: Dict[str, HybridBlock],
        segments: List[List[HybridBlock]],
        ends: Tuple[int, int, int, int],
        channels: Tuple[int, int, int, int],
    ):
        self.stages = stages
        self.segments = segments
        self._ends = ends
        self.channels = channels

    def __call__(self, x) -> Tuple:
        """Run the encoder on images, (N, 3, H, W) NDArray or Symbol."""
        maps = []
        for segment in self.segments:
            for block in segment:
                x = block(x)
            maps.append(x)
        return self.ends_of(maps)

    def ends_of(self, maps: Sequence) -> Tuple:
        """Return c1 to c4, of the outputs of all segments."""
        return tuple(maps[end] for end in self._ends)


def resnet101(norm_layer: NormLayer) -> Encoder:
    """ResNet101 with the stride on the 3x3 convolution (GluonCV's ``resnet101_v1b``).  P §2.4, released code."""
    network = resnet101_v1b(pretrained=False, norm_layer=norm_layer)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return _residual({name: getattr(network, name) for name in names}, (256, 512, 1024, 2048))


def vgg16_fc6(norm_layer: NormLayer) -> Encoder:
    """VGG16, without batch norm, up to fc6: the dense layer reshaped to a 7x7 convolution.  Released code."""
    features = nn.HybridSequential()
    segments: List[List[HybridBlock]] = [[]]
    for layer in vgg16(pretrained=False).features:
        if isinstance(layer, nn.Dense):
            break
        features.add(layer)
        segments[-1].append(layer)
        if isinstance(layer, nn.MaxPool2D):
            segments.append([])
    fc6 = nn.Conv2D(4096, kernel_size=7, padding=3, in_channels=512, activation="relu")
    features.add(fc6)
    segments[-1].append(fc6)
    return Encoder({"features": features}, segments, (1, 2, 3, 5), (128, 256, 512, 4096))


def small(norm_layer: NormLayer) -> Encoder:
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
    return _residual(stages, channels)


def _residual(stages: Dict[str, HybridBlock], channels: Tuple[int, int, int, int]) -> Encoder:
    stem = [stages[name] for name in ("conv1", "bn1", "relu", "maxpool")]
    third = list(stages["layer3"])  # most of the blocks of ResNet101
    pieces = [third[i : i + _BLOCKS] for i in range(0, len(third), _BLOCKS)]
    segments = [stem, [stages["layer1"]], [stages["layer2"]], *pieces, [stages["layer4"]]]
    last = len(segments) - 1
    return Encoder(stages, segments, (1, 2, last - 1, last), channels)


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
