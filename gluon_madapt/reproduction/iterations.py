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
from gluon_madapt.stages.retrain import TEACHING
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
    if stage != "adversarial":
        kind = TEACHING[settings.learns_from].step if stage == "retrain" else SupervisedStep
        step, labelled = kind(net, settings), [_labelled(run, *pair) for pair in zip(images, sizes)]
        return lambda: step(labelled, settings.learning_rate)
    space = new_space(run, net, settings.align, cells_of(settings))
    adversary = AdversarialStep if run.number == 1 else DiscriminatorStep
    adversarial = adversary(net, space, settings)
    source = _labelled(run, images[0], sizes[0])
    return lambda: adversarial([(source, Part(images[1]))])


def input_sizes(run: Run, stage: str) -> Tuple[Tuple[int, int], ...]:
    """Return the size, (width, height), of what a training's network sees: of source and target where it sees both."""
    inputs = training_inputs(run, stage)
    return tuple(input_size(settings, own_size(run.experiment, which)) for settings, which in inputs)


def random_images(run: Run, number: int, size: Tuple[int, int]) -> nd.NDArray:
    """Return normalised noise, (number, 3, height, width), on the run's first device."""
    return nd.random.normal(shape=(number, 3, size[1], size[0]), ctx=run.context)


def _labelled(run: Run, images: nd.NDArray, size: Tuple[int, int]) -> Part:
    number = len(images)
    labels = np.random.default_rng(0).integers(0, len(run.classes), (number, size[1], size[0]))
    labels[:, 0, 0] = IGNORE
    return Part(images, nd.array(labels, ctx=run.context, dtype="float32"))
