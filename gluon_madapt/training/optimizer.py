"""Makes the optimisers of the segmenter and the discriminators, and the segmenter's schedule (P §3.2)."""

from typing import Dict

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.config import Adversarial, Training


def poly_learning_rate(base: float, power: float, iteration: int, iterations: int) -> float:
    """Return ``base`` (1 - iteration / iterations) ** power (P §3.2, 'poly')."""
    return base * (1 - iteration / iterations) ** power


def segmenter_trainer(net: HybridBlock, settings: Training) -> Trainer:
    """Return SGD with momentum over the parameters of F and C (P §3.2)."""
    optimizer = {
        "learning_rate": settings.learning_rate,
        "momentum": settings.momentum,
        "wd": settings.weight_decay,
    }
    return Trainer(net.collect_params(), "sgd", optimizer, kvstore=None)


def discriminator_trainers(discriminators: Dict[str, HybridBlock], settings: Adversarial) -> Dict[str, Trainer]:
    """Return Adam over the parameters of each discriminator (P §3.2)."""
    optimizer = {"learning_rate": settings.discriminator_learning_rate}
    return {
        name: Trainer(discriminator.collect_params(), "adam", optimizer, kvstore=None)
        for name, discriminator in discriminators.items()
    }
