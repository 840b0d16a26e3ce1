"""Says what the labels of the source teach in stage 2, and how much each loss weighs."""

from typing import List, Sequence, Tuple, Union

from mxnet import nd

from gluon_madapt.config import Adversarial
from gluon_madapt.models import SPACES
from gluon_madapt.training.distributed import Losses


class Supervision:
    """The losses of a `SupervisedPass` in stage 2, that of the segmenter and those that the space adds.

    Parameters
    ----------
    settings : Adversarial
        The stage's settings.
    number : int
        The round of proxies.  From 2 on F and C stay as they are, and their loss weighs nothing.

    Attributes
    ----------
    weights : dict of str to float
        By loss, in the order in which the pass returns them.
    """

    def __init__(self, settings: Adversarial, number: int = 1):
        added = SPACES[settings.align].extra_losses(settings.discriminators)
        self.weights = {"segmentation": settings.lambda_seg if number == 1 else 0.0}
        self.weights.update({name: getattr(settings, setting) for name, setting in added.items()})

    @property
    def teaches(self) -> bool:
        """Whether anything is learnt from labels."""
        return any(self.weights.values())

    def told_apart(self, outputs: Sequence[nd.NDArray]) -> Tuple[Losses, Sequence[nd.NDArray]]:
        """Return the losses among what a pass returns, by name, and what is left: what the discriminators see."""
        number = len(self.weights)
        return dict(zip(self.weights, outputs[:number])), outputs[number:]

    def gradients(self, losses: Losses, weight: Union[float, nd.NDArray]) -> List[nd.NDArray]:
        """Return the gradients by the losses of a part of so much ``weight``, (1,) each."""
        return [nd.ones_like(loss) * (self.weights[name] * weight) for name, loss in losses.items()]
