"""The segmenter: encoder, light decoder and classifier (P §2.4)."""

import functools

from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import SyncBatchNorm
from mxnet.gluon.parameter import ParameterDict

from gluon_madapt.models.bfloat16 import BFloat16Graph
from gluon_madapt.models.bilinear import resize_like
from gluon_madapt.models.classifier import Classifier
from gluon_madapt.models.encoders import ENCODERS
from gluon_madapt.models.fusion import FEATURE_CHANNELS, FusionBlock
from gluon_madapt.models.inference_graph import InferenceGraph
from gluon_madapt.precision import FLOAT32

# Dilation of the three fusions, coarsest first (released code).
RATES = (3, 6, 12)


class Segmenter(HybridBlock):
    """The paper's F and C: images to class scores.

    Parameters
    ----------
    encoder : str
        "resnet101", "vgg16" or "small".
    num_classes : int
        Number of classes, L.
    synchronized : int
        Over how many GPUs of this process batch norm is synchronised in training, by MXNet's operator; 1 is not at all.

    Input: RGB images (N, 3, H, W), float32, in [0, 1], minus the ImageNet mean, over its standard deviation.
    Outputs: logits (N, L, H, W); feature F(X), (N, 128, H/4, W/4); mid-level map F_l(X), (N, C, H/16, W/16).

    Attributes
    ----------
    quarter : View
        The same network with the logits left at (N, L, H/4, W/4).
    mid_channels : int
        Channels C of the mid-level map.
    encode : Encoder
        Images to the maps (c1, c2, c3, c4) at 1/4, 1/8, 1/16 and 1/32 of their size.

    Raises
    ------
    ValueError
        If there is no such encoder.
    """

    def __init__(self, encoder: str, num_classes: int, synchronized: int = 1, **kwargs):
        super().__init__(**kwargs)
        if encoder not in ENCODERS:
            raise ValueError(f"there is no encoder {encoder!r}: expected one of {', '.join(ENCODERS)}")
        self.encoder_name = encoder
        self.num_classes = num_classes
        with self.name_scope():
            norm_layer = _synchronized_norm(synchronized) if synchronized > 1 else nn.BatchNorm
            self.encode = ENCODERS[encoder](norm_layer)
            for name, stage in self.encode.stages.items():
                setattr(self, name, stage)
            c1, c2, c3, c4 = self.encode.channels
            self.mid_channels = c3
            self.merge1 = FusionBlock(c4, c3, RATES[0], norm_layer)
            self.merge2 = FusionBlock(FEATURE_CHANNELS, c2, RATES[1], norm_layer)
            self.merge3 = FusionBlock(FEATURE_CHANNELS, c1, RATES[2], norm_layer)
            self.final = nn.HybridSequential()
            self.final.add(norm_layer(in_channels=FEATURE_CHANNELS))
            self.final.add(nn.Activation("relu"))
            self.classifier = Classifier(num_classes, FEATURE_CHANNELS)
        # Past Gluon's own __setattr__, which would take the view for a child with parameters of its own.
        object.__setattr__(self, "quarter", QuarterScores(self))

    def extract_features(self, images):
        """Return F(X) and F_l(X) of images, NDArray or Symbol, without classifying them."""
        return self.decode(self.encode(images))

    def decode(self, maps):
        """Return F(X) and F_l(X) of the encoder's maps, (c1, c2, c3, c4)."""
        c1, c2, c3, c4 = maps
        fused = self.merge3(self.merge2(self.merge1(c4, c3), c2), c1)
        return self.final(fused), c3

    def collect_feature_params(self, select=None) -> ParameterDict:
        """Return the parameters of F: those of the segmenter but for the classifier."""
        params = ParameterDict()
        for child in self._children.values():
            if child is not self.classifier:
                params.update(child.collect_params(select))
        return params

    def hybrid_forward(self, F, images):
        """Segment images at their own size."""
        feature, mid = self.extract_features(images)
        return resize_like(F, self.classifier(feature), images), feature, mid

    def hybridize(self, active=True, **kwargs):
        """Compile the network and its view `quarter`, each on its next call; ``kwargs`` as for any HybridBlock."""
        super().hybridize(active, **kwargs)
        object.__setattr__(self, "quarter", QuarterScores(self))
        self.quarter.hybridize(active, **kwargs)

    def compile_for_inference(self, precision=FLOAT32, sizes=1):
        """Compile `quarter` to run as fast as it can, with the parameters and running statistics that there are now.

        ``precision`` is "float32" or "bfloat16"; ``sizes`` is how many sizes of images take turns: 1 if most images are
        of the size of the one before.
        """
        if precision == FLOAT32 and sizes > 1:  # a graph that is laid out for one size would be compiled all the time
            self.hybridize()
            return
        plain = QuarterScores(self)
        graph = InferenceGraph(plain) if precision == FLOAT32 else BFloat16Graph(plain, sizes)
        object.__setattr__(self, "quarter", graph)


def _synchronized_norm(devices: int):
    return functools.partial(SyncBatchNorm, num_devices=devices)


class View(HybridBlock):
    """A graph of its own over the parameters of a network.

    Gluon compiles one graph per block and lays out its memory anew whenever the shape of the input changes.  A view per
    use (source images, target images, scores for evaluation) keeps the shapes of each graph, and so its memory plan,
    fixed.  A view has no parameters: saving and initializing are the network's.
    """

    def __init__(self, network: HybridBlock):
        super().__init__()
        # Not registered as a child: hybridizing a view must not compile the network anew.
        object.__setattr__(self, "network", network)

    def collect_params(self, select=None) -> ParameterDict:
        """Return the parameters that this view's graph reads."""
        return self.network.collect_params(select)


class QuarterScores(View):
    """Images to logits, feature and mid-level map, with the logits left at a quarter of the image's size."""

    precision = FLOAT32

    def hybrid_forward(self, F, images):
        """Segment images at a quarter of their size."""
        feature, mid = self.network.extract_features(images)
        return self.network.classifier(feature), feature, mid
