"""The passes through the segmenter that training compiles, for labelled images, unlabelled ones, and both at once."""

from abc import ABC, abstractmethod
from typing import Optional, Sequence

from mxnet.gluon import HybridBlock
from mxnet.gluon.parameter import ParameterDict

from gluon_madapt.models.feature_space import FeatureSpace
from gluon_madapt.models.losses import segmentation_loss
from gluon_madapt.models.segmenter import Segmenter, View
from gluon_madapt.models.space import Outputs, Space


class TrainingPass(View, ABC):
    """A pass that teaches F: images, and what else it takes, through the encoder to what is learnt from its maps.

    Parameters
    ----------
    network : Segmenter
        F and C.
    space : Space, optional
        What the discriminators see of the images; features without any.
    """

    def __init__(self, network: Segmenter, space: Optional[Space] = None):
        super().__init__(network)
        self.space = space or FeatureSpace(network, {})

    def collect_params(self, select=None) -> ParameterDict:
        """Return the parameters of F and C, and of what the space adds to them."""
        return _together([self.network, *self.space.added.values()], select)

    def hybrid_forward(self, F, images, *labels):
        """Compute the pass from ``images``, (N, 3, H, W)."""
        return self.after_encoder(F, self.network.encode(images), images, *labels)

    @abstractmethod
    def after_encoder(self, F, maps, images, *labels):
        """Compute the pass from the maps of the encoder, (c1, c2, c3, c4); ``images`` are for their size alone."""

    def classified(self, feature, mid) -> Outputs:
        """Return F(X) and F_l(X) with the scores of C."""
        return Outputs(self.network.classifier(feature), feature, mid)

    def supervised(self, F, outputs, labels, images):
        """Return the segmentation loss, the losses that the space adds, and what the discriminators see."""
        loss = segmentation_loss(F, outputs.scores, labels, images)
        return (loss, *self.space.losses(F, outputs, labels, images), *self.space.maps(F, outputs, images))


class SupervisedPass(TrainingPass):
    """Labelled images to (segmentation loss (1,), losses that the space adds, maps that the discriminators see)."""

    def after_encoder(self, F, maps, images, labels):
        """Compute the losses against ``labels``, (N, H, W), float32 train ids."""
        return self.supervised(F, self.classified(*self.network.decode(maps)), labels, images)


class UnlabelledPass(TrainingPass):
    """Images to what the discriminators see of them: all that training needs of the target."""

    def collect_params(self, select=None) -> ParameterDict:
        """Return the parameters of F, and of what is behind it in this pass."""
        params = self.network.collect_feature_params(select)
        params.update(_together(self.space.heads(self.network), select))
        return params

    def after_encoder(self, F, maps, images):
        """Compute the maps of the space; what they do not come from is no part of a compiled graph."""
        return self.space.maps(F, self.classified(*self.network.decode(maps)), images)


class JointPass(TrainingPass):
    """Source and target in one pass, so that batch norm sees both.  Ours, for inputs of one size.

    The first half of the images is the source.
    """

    def after_encoder(self, F, maps, images, labels):
        """Return what `SupervisedPass` does of the source half, then what the discriminators see of the target."""
        features, mids = (F.split(both, num_outputs=2, axis=0) for both in self.network.decode(maps))
        source, target = (self.classified(features[half], mids[half]) for half in (0, 1))
        return (*self.supervised(F, source, labels, images), *self.space.maps(F, target, images))


def _together(networks: Sequence[HybridBlock], select) -> ParameterDict:
    params = ParameterDict()
    for network in networks:
        params.update(network.collect_params(select))
    return params
