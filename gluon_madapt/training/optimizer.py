"""Makes the optimisers of the segmenter and the discriminators, and their schedule (P §3.2)."""

from typing import Dict

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.config import Adversarial, Training


def poly_learning_rate(base: float, power: float, iteration: int, iterations: int) -> float:
    """Return ``base`` (1 - iteration / iterations) ** power (P §3.2, 'poly'); a power of 0 leaves it as it is."""
    return base * (1 - iteration / iterations) ** power


class PolySchedule:
    """Sets the learning rates of a stage's optimisers, each by 'poly' from what it is now (P §3.2).

    Parameters
    ----------
    trainers : dict of str to Trainer
        The optimisers.
    power : float
        Of the schedule; 0 leaves the rates as they are.
    iterations : int
        Those of the stage.
    """

    def __init__(self, trainers: Dict[str, Trainer], power: float, iterations: int):
        self._trainers = [(trainer, trainer.learning_rate) for trainer in trainers.values()]
        self._power, self._iterations = power, iterations

    def __call__(self, iteration: int) -> None:
        """Set the rates for an iteration, from 0."""
        for trainer, first in self._trainers:
            trainer.set_learning_rate(poly_learning_rate(first, self._power, iteration, self._iterations))


def segmenter_trainer(net: HybridBlock, settings: Training) -> Trainer:
    """Return SGD with momentum over the parameters of F and C, or of another classifier (P §3.2)."""
    optimizer = {
        "learning_rate": settings.learning_rate,
        "momentum": settings.momentum,
        "wd": settings.weight_decay,
    }
    return Trainer(net.collect_params(), "sgd", optimizer, kvstore=None)


def discriminator_trainers(discriminators: Dict[str, HybridBlock], settings: Adversarial) -> Dict[str, Trainer]:
    """Return Adam over the parameters of each discriminator (P §3.2)."""
    first, second = settings.discriminator_betas
    optimizer = {"learning_rate": settings.discriminator_learning_rate, "beta1": first, "beta2": second}
    return {
        name: Trainer(discriminator.collect_params(), "adam", optimizer, kvstore=None)
        for name, discriminator in discriminators.items()
    }
