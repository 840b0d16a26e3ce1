"""Trains the discriminators of a later round of proxies, in place of stage 2.

Beyond the paper: F is that of the retrained model, and stays as it is.
"""

from typing import Dict, Optional, Sequence, Tuple

from mxnet import autograd, nd

from gluon_madapt.config import Adversarial
from gluon_madapt.errors import UserError
from gluon_madapt.models import Discriminator, Segmenter
from gluon_madapt.models.losses import DomainLoss, FeaturePass
from gluon_madapt.training.distributed import Distributed, Losses, Part, sum_of_losses
from gluon_madapt.training.optimizer import discriminator_trainers


class DiscriminatorStep:
    """One iteration of the discriminators, with F fixed: its features are those that stage 3 will show them.

    Parameters
    ----------
    net : Segmenter
        F and C.
    discriminators : dict of str to Discriminator
        "D1", or "D1" and "D2".
    settings : Adversarial
        The stage's settings.
    distributed : Distributed, optional
        The devices and processes that share the work; one CPU by default.

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimisers of the discriminators.
    learning_rate : float
        Theirs.
    """

    def __init__(
        self,
        net: Segmenter,
        discriminators: Dict[str, Discriminator],
        settings: Adversarial,
        distributed: Optional[Distributed] = None,
    ):
        if not discriminators:
            raise UserError(
                "adversarial.discriminators is 0, and a later round of proxies trains discriminators: set it to 1 or 2"
            )
        self._distributed = distributed or Distributed()
        self.learning_rate = settings.discriminator_learning_rate
        self.trainers = discriminator_trainers(discriminators, settings)
        if settings.accumulate > 1:
            self._distributed.add_up_gradients(*discriminators.values())
        # A view for each domain: the sizes of their images may differ.
        self._features = {domain: FeaturePass(net) for domain in ("source", "target")}
        self._domain_losses = {name: DomainLoss(D) for name, D in discriminators.items()}
        for view in (*self._features.values(), *self._domain_losses.values()):
            view.hybridize(static_alloc=True, static_shape=True)

    def __call__(self, parts: Sequence[Tuple[Part, Part]]) -> Losses:
        """Update the discriminators once, by source and target images; return the loss of each, (1,)."""
        self._distributed.clear_gradients()
        losses = [self._differentiate(source, target) for source, target in parts]
        for name, trainer in self.trainers.items():
            self._distributed.step(name, trainer)
        return sum_of_losses(losses)

    def _differentiate(self, source: Part, target: Part) -> Losses:
        seen = zip(self._maps("source", source), self._maps("target", target))
        losses = {}
        for (name, domain_loss), (of_source, of_target) in zip(self._domain_losses.items(), seen):
            with autograd.record():
                loss = target.share * domain_loss(of_source, of_target)
            loss.backward()
            losses[name] = loss
        return losses

    def _maps(self, domain: str, part: Part) -> Tuple[nd.NDArray, nd.NDArray]:
        """Return F(X), which D1 looks at, and F_l(X), which D2 does, by the running statistics of batch norm."""
        with autograd.predict_mode():
            feature, mid = self._features[domain](part.images)
        return feature, mid
