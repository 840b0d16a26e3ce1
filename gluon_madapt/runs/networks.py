"""Builds the networks of an experiment: random ones, or with an encoder trained on ImageNet."""

from typing import Dict, Mapping, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models import Discriminator, Segmenter
from gluon_madapt.models.fusion import FEATURE_CHANNELS
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


def new_discriminators(run: Run, halved: Mapping[str, int], mid_channels: int) -> Dict[str, Discriminator]:
    """Build discriminators that halve their maps so often, as of `halvings`, random from the seed."""
    channels = {"D1": FEATURE_CHANNELS, "D2": mid_channels}
    networks = {name: Discriminator(channels[name], number) for name, number in halved.items()}
    for network in networks.values():
        _initialize(network, run.contexts, run.experiment.seed)
    return networks


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
