"""Stage 1: supervised training on the source domain (P §3.2)."""

from gluon_madapt.stages.networks import new_segmenter
from gluon_madapt.stages.run import Run
from gluon_madapt.stages.supervised import train_supervised


def train_source(run: Run) -> None:
    """Train F and C on labelled source images; leaves a checkpoint in the run folder's ``source``."""
    settings = run.experiment.source
    loader = run.loader("source", "source", settings.input, settings.batch_size, labelled=True)
    net = new_segmenter(run, run.experiment.model.weights)
    folder = run.open("source")
    train_supervised("source", run, folder, net, settings, loader)
