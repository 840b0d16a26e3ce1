"""Trains stage 1: the segmenter on the labelled source domain (P §3.2)."""

from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.networks import imagenet_segmenter
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.supervised import lesson_of_one_domain, train_supervised


def train_source(run: Run) -> None:
    """Train F and C on labelled source images; leaves a checkpoint in the run folder's ``source``."""
    settings = run.experiment.source
    loader = run.loader("source", "source", settings.input, settings, labelled=True)
    check_inputs(run, "source", loader.dataset, labelled=True)
    net, weights = imagenet_segmenter(run)
    lesson = lesson_of_one_domain(run, net, settings, loader, loader.dataset)
    train_supervised("source", run, net, settings, lesson, {"weights": weights})
