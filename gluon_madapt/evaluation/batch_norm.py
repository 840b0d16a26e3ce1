"""Re-estimating batch-norm statistics on images of another domain.  Beyond the paper; off by default."""

from typing import Iterable

import mxnet as mx
from mxnet import autograd, nd

from gluon_madapt.models.losses import FeaturePass


def refresh_statistics(net, images: Iterable[nd.NDArray]) -> None:
    """Move the running statistics of every batch norm of ``net`` to those of ``images``, (N, 3, H, W) each.

    The parameters stay as they are.  MXNet updates running statistics in the backward pass, by their momentum: some 50
    batches replace the old ones but for half a percent.
    """
    features = FeaturePass(net)
    features.hybridize(static_alloc=True)
    for batch in images:
        with autograd.record():
            feature, mid = features(batch)
        autograd.backward([feature, mid], [nd.zeros_like(feature), nd.zeros_like(mid)])
        mx.nd.waitall()
