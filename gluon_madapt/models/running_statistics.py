"""Says when a compiled pass moves the running statistics of batch norm."""

from contextlib import contextmanager
from typing import Iterator, List, Sequence

from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import SyncBatchNorm


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
    with _changed(_norms(network), momentum=1.0):
        yield


@contextmanager
def statistics_moved_once(network: HybridBlock) -> Iterator[None]:
    """Have what is compiled within move running statistics in the backward pass alone, however often it goes forward.

    MXNet's own batch norms do, on any device.  cuDNN's, which stands in for them on a GPU, moves statistics in the
    forward pass, and so is turned off.

    Parameters
    ----------
    network : HybridBlock
        The network.
    """
    with _changed([norm for norm in _norms(network) if not isinstance(norm, SyncBatchNorm)], cudnn_off=True):
        yield


@contextmanager
def _changed(layers: Sequence[HybridBlock], **arguments) -> Iterator[None]:
    """Give the operators of some layers other arguments for a while."""
    stored = [layer._kwargs for layer in layers]
    try:
        for layer in layers:
            layer._kwargs = dict(layer._kwargs, **arguments)
        yield
    finally:
        for layer, before in zip(layers, stored):
            layer._kwargs = before


def _norms(block: HybridBlock) -> List[HybridBlock]:
    own = [block] if isinstance(block, nn.BatchNorm) else []
    return own + [norm for child in block._children.values() for norm in _norms(child)]
