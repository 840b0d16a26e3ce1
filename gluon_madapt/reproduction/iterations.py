"""Iterations of the trainings on random images, to be timed or measured."""

from typing import Callable, Tuple

import numpy as np
from mxnet import nd

from gluon_madapt.doctor.machine import training_inputs
from gluon_madapt.labels import IGNORE
from gluon_madapt.models.image_sizes import refuse_size
from gluon_madapt.runs.datasets import cells_of, input_size, own_size
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.later_rounds import DiscriminatorStep
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.distributed import Part


def training_iteration(run: Run, stage: str, number: int) -> Callable[[], object]:
    """Return what does an iteration of a training, of so many images of each domain, on the run's first device.

    Raises
    ------
    UserError
        If the networks cannot take images of that size.
    """
    settings = getattr(run.experiment, stage).model_copy(update={"batch_size": number})
    sizes = input_sizes(run, stage)
    for size in sizes:
        refuse_size(size, size, run.experiment.model.encoder, cells_of(settings))
    net = new_segmenter(run)
    images = [random_images(run, number, size) for size in sizes]
    labelled = Part(images[0], _labels(run, number, sizes[0]))
    if stage != "adversarial":
        step = SupervisedStep(net, settings)
        return lambda: step([labelled], settings.learning_rate)
    space = new_space(run, net, settings.align, cells_of(settings))
    kind = AdversarialStep if run.number == 1 else DiscriminatorStep
    adversarial = kind(net, space, settings)
    return lambda: adversarial([(labelled, Part(images[1]))])


def input_sizes(run: Run, stage: str) -> Tuple[Tuple[int, int], ...]:
    """Return the size, (width, height), of what a training's network sees: in stage 2 of the source and the target."""
    inputs = training_inputs(run, stage)
    return tuple(input_size(settings, own_size(run.experiment, which)) for settings, which in inputs)


def random_images(run: Run, number: int, size: Tuple[int, int]) -> nd.NDArray:
    """Return normalised noise, (number, 3, height, width), on the run's first device."""
    return nd.random.normal(shape=(number, 3, size[1], size[0]), ctx=run.context)


def _labels(run: Run, number: int, size: Tuple[int, int]) -> nd.NDArray:
    labels = np.random.default_rng(0).integers(0, len(run.classes), (number, size[1], size[0]))
    labels[:, 0, 0] = IGNORE
    return nd.array(labels, ctx=run.context, dtype="float32")
