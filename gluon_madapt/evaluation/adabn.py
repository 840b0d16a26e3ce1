"""Batch-norm statistics re-estimated on target images, before proxies or before scoring.  Beyond the paper; off."""

from typing import Any, Dict

from mxnet import nd

from gluon_madapt.evaluation.batch_norm import refresh_statistics
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.run import Run


def refreshing(run: Run, batches: int) -> Dict[str, Any]:
    """Return how statistics are re-estimated on some batches: JSON values that decide what comes out."""
    adversarial = run.experiment.adversarial
    return {
        "batches": batches,
        "batch_size": adversarial.batch_size,
        "input": adversarial.target_input.model_dump(mode="json"),
        "seed": run.experiment.seed,
    }


def refresh_on_target(run: Run, net: Segmenter, batches: int) -> str:
    """Re-estimate the statistics of a network on batches of target images, as stage 2 sees them.

    Returns
    -------
    str
        The fingerprint of the target images.
    """
    settings = run.experiment.adversarial.model_copy(update={"accumulate": 1, "discriminators": 0})
    loader = run.loader("target", "refresh", settings.target_input, settings, labelled=False)
    refresh_statistics(net, (nd.array(batch.images, ctx=run.context) for batch in loader.batches(0, batches)))
    return loader.dataset.fingerprint
