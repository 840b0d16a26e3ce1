"""Builds passes that leave the running statistics of batch norm as they are."""

from contextlib import contextmanager
from typing import Iterator

from mxnet.gluon import HybridBlock, nn


@contextmanager
def held_statistics(network: HybridBlock) -> Iterator[None]:
    """Have what is computed or compiled within leave the running statistics of a network's batch norms as they are.

    Their operators are given a momentum of 1: old statistics times 1, those of the batch times 0.  In training mode
    batch norm normalises by its batch, so outputs and gradients are the same, bit for bit.  Nothing is copied, and so
    nothing depends on when MXNet moves statistics: a compiled backward pass does that without telling its engine.

    Parameters
    ----------
    network : HybridBlock
        The network; SyncBatchNorm is a batch norm, too.
    """
    layers = [block for block in _blocks(network) if isinstance(block, nn.BatchNorm)]
    momenta = [layer._kwargs["momentum"] for layer in layers]
    try:
        for layer in layers:
            layer._kwargs["momentum"] = 1.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta):
            layer._kwargs["momentum"] = momentum


def _blocks(block: HybridBlock) -> Iterator[HybridBlock]:
    yield block
    for child in block._children.values():
        yield from _blocks(child)
