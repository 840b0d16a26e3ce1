"""The losses (P Eq. 1 to 3): on labels, of the discriminators, and what F receives from these."""

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
