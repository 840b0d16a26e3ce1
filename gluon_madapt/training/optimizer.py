"""The segmenter's optimiser and its schedule (P §3.2)."""

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.config import Training


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
