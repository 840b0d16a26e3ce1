"""Trains the discriminators of a later round of proxies, in place of stage 2.

Beyond the paper: F is that of the retrained model, and stays as it is.
"""

from typing import Dict, Optional, Sequence, Tuple

from mxnet import autograd

from gluon_madapt.config import Adversarial
from gluon_madapt.errors import UserError
from gluon_madapt.models import Discriminator, Segmenter
from gluon_madapt.models.losses import FeaturePass
from gluon_madapt.stages.discriminators import DomainLosses, Maps
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
    measured : dict of str to NDArray
        Nothing: F learns nothing here.
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
        for view in self._features.values():
            view.hybridize(static_alloc=True, static_shape=True)
        self._domain_losses = DomainLosses(discriminators)
        self.measured: Losses = {}

    def __call__(self, parts: Sequence[Tuple[Part, Part]], measure: bool = False) -> Losses:
        """Update the discriminators once, by source and target images; return the loss and accuracies of each, (1,)."""
        self._distributed.clear_gradients()
        losses = [self._differentiate(source, target) for source, target in parts]
        for name, trainer in self.trainers.items():
            self._distributed.step(name, trainer)
        return sum_of_losses(losses)

    def _differentiate(self, source: Part, target: Part) -> Losses:
        maps = self._maps("source", source), self._maps("target", target)
        return self._domain_losses.differentiate(*maps, target.share)

    def _maps(self, domain: str, part: Part) -> Maps:
        """Return what the discriminators look at, by the running statistics of batch norm."""
        with autograd.predict_mode():
            return Maps(*self._features[domain](part.images))
