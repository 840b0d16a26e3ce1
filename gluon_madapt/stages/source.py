"""Stage 1: supervised training on the source domain (P §3.2)."""

from pathlib import Path

from gluon_madapt.stages.networks import new_segmenter
from gluon_madapt.stages.run import Run, sha256
from gluon_madapt.stages.supervised import train_supervised


def train_source(run: Run) -> None:
    """Train F and C on labelled source images; leaves a checkpoint in the run folder's ``source``."""
    settings, weights = run.experiment.source, run.experiment.model.weights
    loader = run.loader("source", "source", settings.input, settings.batch_size, labelled=True)
    net = new_segmenter(run, weights)
    inputs = {"weights": weights if weights == "none" else sha256(Path(weights))}
    train_supervised("source", run, net, settings, loader, inputs)
