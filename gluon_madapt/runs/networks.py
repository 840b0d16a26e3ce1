"""Builds the networks of an experiment: random ones, or with an encoder trained on ImageNet."""

from typing import Mapping, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models import SPACES, Cells, Segmenter, Space
from gluon_madapt.runs.run import Run
from gluon_madapt.weights.loading import load_imagenet
from gluon_madapt.weights.zoo import imagenet_file


def new_segmenter(run: Run) -> Segmenter:
    """Build a segmenter, random from the seed."""
    net = Segmenter(run.experiment.model.encoder, len(run.classes), synchronized=_synchronized(run))
    initialize_segmenter(net, run.contexts, run.experiment.seed)
    return net


def initialize_segmenter(net: Segmenter, contexts: Sequence[mx.Context], seed: int = 0) -> None:
    """Give a segmenter random parameters on some devices."""
    _initialize(net, contexts, seed)
    net(mx.nd.zeros((1, 3, 64, 64), ctx=contexts[0]))  # infers the shapes that GluonCV leaves open


def imagenet_segmenter(run: Run) -> Tuple[Segmenter, str]:
    """Build a segmenter with the encoder of ``model.weights``.

    Returns
    -------
    tuple
        The network, and the SHA-256 of the file of weights; or "none" where the encoder is as random as the rest.
    """
    model = run.experiment.model
    if model.weights == "none":
        return new_segmenter(run), "none"
    path = imagenet_file(model.encoder, model.weights)
    net = new_segmenter(run)
    load_imagenet(net, path)
    return net, sha256(path)


def new_space(run: Run, net: Segmenter, align: str, cells: Mapping[str, Cells]) -> Space:
    """Build discriminators of such cells, and what they look through, each random from the seed.

    ``align`` is the name of the space, as of ``adversarial.align``; ``cells`` are as of `Space.cells`.
    """
    space = SPACES[align](net, cells)
    for network in space.networks.values():
        _initialize(network, run.contexts, run.experiment.seed)
    return space


def _initialize(network: HybridBlock, contexts: Sequence[mx.Context], seed: int) -> None:
    mx.random.seed(seed)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), ctx=list(contexts))


def _synchronized(run: Run) -> int:
    """Return over how many devices batch norm is synchronised; 1 is not at all."""
    if not run.experiment.model.sync_bn:
        return 1
    if run.context.device_type != "gpu":
        raise UserError(
            "model.sync_bn needs GPUs, and there is none here: MXNet's operator never returns on CPUs: set it to false"
        )
    return len(run.contexts)
