"""Adapts a network to the target domain by AdaBN: new batch-norm statistics, and no other change.

Y. Li, N. Wang, J. Shi, J. Liu, X. Hou, "Revisiting Batch Normalization For Practical Domain Adaptation", 2016
(arXiv:1603.04779).  Beyond the paper; off by default.
"""

from typing import Any, Dict, Iterable

from mxnet import nd

from gluon_madapt.data.fingerprints import Fingerprint
from gluon_madapt.models import Segmenter
from gluon_madapt.models.passes import UnlabelledPass
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.runs.run import Run

# In stored protocols and inputs: the name of now, and that of earlier versions.
_NAME, _FORMER_NAME = "adabn", "refresh"


def how_adapted(run: Run, batches: int) -> Dict[str, Any]:
    """Return what decides the outcome of AdaBN, as JSON values."""
    adversarial = run.experiment.adversarial
    return {
        "batches": batches,
        "batch_size": adversarial.batch_size,
        "input": adversarial.target_input.model_dump(mode="json"),
        "seed": run.experiment.seed,
    }


def adapt_to_target(run: Run, net: Segmenter, batches: int) -> Fingerprint:
    """Adapt a network on batches of target images, as stage 2 sees them; return the images' fingerprint."""
    settings = run.experiment.adversarial.model_copy(update={"accumulate": 1, "discriminators": 0})
    # "refresh" names the stream of random numbers: another name would draw other batches.
    loader = run.loader("target", "refresh", settings.target_input, settings, labelled=False)
    adapt_statistics(net, (nd.array(batch.images, ctx=run.context) for batch in loader.batches(0, batches)))
    return loader.dataset.fingerprint


def adapt_statistics(net: Segmenter, images: Iterable[nd.NDArray]) -> None:
    """Move the running statistics of every batch norm of ``net`` to those of ``images``, (N, 3, H, W) each.

    The parameters stay as they are.  MXNet updates running statistics in the backward pass, by their momentum: some 50
    batches replace the old ones but for half a percent.
    """
    features = TrainingGraph(UnlabelledPass(net))
    for batch in images:
        features(batch)
        features.backward(None, None)
        nd.waitall()


def under_current_name(stored: Dict[str, Any]) -> Dict[str, Any]:
    """Return a stored protocol, or what stored maps were made from, with AdaBN under the name of now."""
    return {_NAME if key == _FORMER_NAME else key: value for key, value in stored.items()}


def under_former_name(values: Dict[str, Any]) -> Dict[str, Any]:
    """Return the same as an earlier version stored it, whose hash maps of that time carry."""
    return {_FORMER_NAME if key == _NAME else key: value for key, value in values.items()}
