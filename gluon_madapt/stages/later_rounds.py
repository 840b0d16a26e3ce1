"""Trains the discriminators of a later round of proxies, in place of stage 2.

Beyond the paper: F is that of the retrained model, and stays as it is.  What the discriminators look through beside F
and C is as new as they are, and learns from the labels of the source.
"""

from typing import Optional, Sequence, Tuple

from mxnet import autograd

from gluon_madapt.config import Adversarial
from gluon_madapt.errors import UserError
from gluon_madapt.models import Segmenter, Space
from gluon_madapt.models.passes import SupervisedPass, TrainingPass, UnlabelledPass
from gluon_madapt.stages.discriminators import DomainLosses, Maps
from gluon_madapt.stages.supervision import Supervision
from gluon_madapt.training.distributed import Distributed, Losses, Part, sum_of_losses
from gluon_madapt.training.optimizer import PolySchedule, discriminator_trainers, segmenter_trainer


class DiscriminatorStep:
    """One iteration of the discriminators, with F and C fixed: what they see is what stage 3 will show them.

    Parameters
    ----------
    net : Segmenter
        F and C, whose parameters get no gradient any more.
    space : Space
        What the discriminators look at, and these: D1, or D1 and D2.
    settings : Adversarial
        The stage's settings.
    distributed : Distributed, optional
        The devices and processes that share the work; one CPU by default.

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimisers of the discriminators, and of what the space adds to F and C.
    measured : dict of str to NDArray
        Nothing: F learns nothing here.
    """

    def __init__(
        self,
        net: Segmenter,
        space: Space,
        settings: Adversarial,
        distributed: Optional[Distributed] = None,
    ):
        if not space.discriminators:
            raise UserError(
                "adversarial.discriminators is 0, and a later round of proxies trains discriminators: set it to 1 or 2"
            )
        self._distributed, self._space = distributed or Distributed(), space
        self._supervision = Supervision(settings, number=2)
        self.trainers = discriminator_trainers(space.discriminators, settings)
        self.trainers.update({name: segmenter_trainer(network, settings) for name, network in space.added.items()})
        self._schedule = PolySchedule(self.trainers, settings.poly_power, settings.iterations)
        if settings.accumulate > 1:
            self._distributed.add_up_gradients(*space.networks.values())
        net.collect_params().setattr("grad_req", "null")
        # A view for each domain: the sizes of their images may differ.
        self._supervised, self._source, self._target = (
            kind(net, space) for kind in (SupervisedPass, UnlabelledPass, UnlabelledPass)
        )
        for view in (self._supervised, self._source, self._target):
            view.hybridize(static_alloc=True, static_shape=True)
        self._domain_losses = DomainLosses(space.discriminators)
        self.measured: Losses = {}

    @property
    def learning_rate(self) -> float:
        """That of the discriminators in the last iteration."""
        return self.trainers["D1"].learning_rate

    def __call__(self, parts: Sequence[Tuple[Part, Part]], measure: bool = False, iteration: int = 0) -> Losses:
        """Update the discriminators once, by source and target images; return the loss and accuracies of each, (1,).

        Where the space adds networks, their losses on labels are returned, too.
        """
        self._schedule(iteration)
        self._distributed.clear_gradients()
        losses = [self._differentiate(source, target) for source, target in parts]
        for name, trainer in self.trainers.items():
            self._distributed.step(name, trainer)
        return sum_of_losses(losses)

    def _differentiate(self, source: Part, target: Part) -> Losses:
        losses, source_maps = self._supervise(source)
        target_maps = self._maps(self._target, target)
        return {**losses, **self._domain_losses.differentiate(source_maps, target_maps, target.share)}

    def _supervise(self, source: Part) -> Tuple[Losses, Maps]:
        """Differentiate what labels teach, if they teach anything; return it, and what the discriminators see."""
        if not self._supervision.teaches:
            return {}, self._maps(self._source, source)
        with autograd.record(train_mode=False):
            outputs = self._supervised(source.images, source.labels)
        losses, maps = self._supervision.told_apart(outputs)
        autograd.backward(list(losses.values()), self._supervision.gradients(losses, source.weight))
        return {name: source.weight * loss for name, loss in losses.items()}, self._space.named(maps)

    def _maps(self, view: TrainingPass, part: Part) -> Maps:
        """Return what the discriminators look at, by the running statistics of batch norm."""
        with autograd.predict_mode():
            return self._space.named(view(part.images))
