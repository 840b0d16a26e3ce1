"""The losses (P Eq. 1 to 3), and the passes through the segmenter that training compiles."""

from abc import ABC, abstractmethod

from mxnet.gluon.parameter import ParameterDict

from gluon_madapt.labels import IGNORE
from gluon_madapt.models.bilinear import resize_channels_last
from gluon_madapt.models.discriminator import Discriminator
from gluon_madapt.models.segmenter import View


def segmentation_loss(F, logits, labels, images):
    """Pixel cross entropy, the mean over labelled pixels; 0 where none is.  P Eq. 1, which sums.

    Parameters
    ----------
    F : module
        mxnet.nd or mxnet.sym.
    logits : NDArray or Symbol
        Class scores (N, L, h, w), resized here to the size of the labels.
    labels : NDArray or Symbol
        Train ids (N, H, W), float32; 255 is ignored.
    images : NDArray or Symbol
        (?, ?, H, W), for its size alone.

    Returns
    -------
    NDArray or Symbol
        The loss, (1,).
    """
    log_probabilities = F.log_softmax(resize_channels_last(F, logits, images), axis=-1)
    labelled = labels != IGNORE
    # Ignored pixels point at class 0, which their weight of 0 then leaves out.
    chosen = F.pick(log_probabilities, labels * labelled, axis=-1)
    return F.broadcast_div(-F.sum(chosen * labelled), F.maximum(F.sum(labelled), 1))


def source_likelihood_loss(F, logits):
    """-log D(x), the mean over D's cells, from D's logits: low where D takes x for source.  P Eq. 2 and 3."""
    return F.mean(F.Activation(-logits, act_type="softrelu"))


def target_likelihood_loss(F, logits):
    """-log(1 - D(x)), the mean over D's cells, from D's logits: low where D takes x for target.  P Eq. 2 and 3."""
    return F.mean(F.Activation(logits, act_type="softrelu"))


class TrainingPass(View, ABC):
    """A pass that teaches F: images, and what else it takes, through the encoder to what is learnt from its maps."""

    def hybrid_forward(self, F, images, *labels):
        """Compute the pass from ``images``, (N, 3, H, W)."""
        return self.after_encoder(F, self.network.encode(images), images, *labels)

    @abstractmethod
    def after_encoder(self, F, maps, images, *labels):
        """Compute the pass from the maps of the encoder, (c1, c2, c3, c4); ``images`` are for their size alone."""


class SupervisedPass(TrainingPass):
    """Labelled images to (segmentation loss (1,), feature, mid-level map)."""

    def after_encoder(self, F, maps, images, labels):
        """Compute the loss against ``labels``, (N, H, W), float32 train ids."""
        feature, mid = self.network.decode(maps)
        return segmentation_loss(F, self.network.classifier(feature), labels, images), feature, mid


class FeaturePass(TrainingPass):
    """Images to (feature, mid-level map): all that training needs of the target."""

    def collect_params(self, select=None):
        """Return the parameters of F: those of the segmenter but for the classifier."""
        params = ParameterDict()
        for child in self.network._children.values():
            if child is not self.network.classifier:
                params.update(child.collect_params(select))
        return params

    def after_encoder(self, F, maps, images):
        """Extract the features."""
        return self.network.decode(maps)


class DomainLoss(View):
    """What a discriminator minimises: -log D on the source, -log(1 - D) on the target.  P Eq. 2 and 3.

    Where D can tell nothing it is 2 ln 2, about 1.39.
    """

    def hybrid_forward(self, F, source, target):
        """Compute the loss of the maps of either domain, (N, C, h, w), whose sizes may differ; and D's accuracy.

        Returns the loss, and the share of cells that D gets right on the source and on the target, (1,) each.
        """
        of_source, of_target = self.network(source), self.network(target)
        loss = source_likelihood_loss(F, of_source) + target_likelihood_loss(F, of_target)
        return loss, F.mean(of_source > 0), F.mean(of_target < 0)


class SourceTerm(View):
    """What F minimises on the source: log D, which makes it look like target.  The literal minimax of P Eq. 2 to 4."""

    def hybrid_forward(self, F, source):
        """Compute the term, (1,), of a map of the source, (N, C, h, w)."""
        return -source_likelihood_loss(F, self.network(source))


class TargetTerm(View):
    """What F minimises on the target, so that it looks like source.

    Parameters
    ----------
    network : Discriminator
        D.
    objective : str
        "non_saturating": -log D; "minimax", P Eq. 2 to 4 to the letter: log(1 - D).
    """

    def __init__(self, network: Discriminator, objective: str):
        super().__init__(network)
        self._loss = source_likelihood_loss
        if objective == "minimax":
            self._loss = _negative_target_likelihood_loss

    def hybrid_forward(self, F, target):
        """Compute the term, (1,), of a map of the target, (N, C, h, w)."""
        return self._loss(F, self.network(target))


def _negative_target_likelihood_loss(F, logits):
    return -target_likelihood_loss(F, logits)


class JointPass(TrainingPass):
    """Source and target in one pass, so that batch norm sees both.  Ours, for inputs of one size.

    The first half of the images is the source.
    """

    def after_encoder(self, F, maps, images, labels):
        """Return the loss of the source half, then feature and mid-level map of the source and those of the target."""
        features, mids = (F.split(both, num_outputs=2, axis=0) for both in self.network.decode(maps))
        loss = segmentation_loss(F, self.network.classifier(features[0]), labels, images)
        return loss, features[0], mids[0], features[1], mids[1]
