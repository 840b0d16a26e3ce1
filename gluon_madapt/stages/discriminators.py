"""Differentiates the discriminators' losses, and tells how often they are right; F is fixed here."""

from typing import Dict

from mxnet import autograd, nd
from mxnet.gluon import HybridBlock

from gluon_madapt.models.losses import DomainLoss
from gluon_madapt.training.distributed import Losses

# What the discriminators see of one domain, or the gradients by it: by discriminator, as `Space.named` returns it.
Maps = Dict[str, nd.NDArray]


class DomainLosses:
    """The losses of some discriminators, by name, each compiled."""

    def __init__(self, discriminators: Dict[str, HybridBlock]):
        self._views = {name: DomainLoss(D) for name, D in discriminators.items()}
        for view in self._views.values():
            view.hybridize(static_alloc=True, static_shape=True)

    def differentiate(self, source: Maps, target: Maps, share: float) -> Losses:
        """Differentiate each loss by its discriminator alone, on detached maps.

        Parameters
        ----------
        source, target : Maps
            Those of either domain; 1 is source, 0 target.
        share : float
            The part's share of an iteration's images, which weighs all that is returned, and the gradients.

        Returns
        -------
        dict of str to NDArray
            (1,) each: the losses, ``D1`` and so on, and the shares of cells that D gets right on either domain,
            ``accuracy_D1_source``, ``accuracy_D1_target`` and so on, before its update.
        """
        losses, accuracies = {}, {}
        for name, view in self._views.items():
            with autograd.record():
                loss, on_source, on_target = view(source[name].detach(), target[name].detach())
            loss.backward(nd.ones_like(loss) * share)
            losses[name] = share * loss
            accuracies[f"accuracy_{name}_source"] = share * on_source
            accuracies[f"accuracy_{name}_target"] = share * on_target
        return {**losses, **accuracies}
