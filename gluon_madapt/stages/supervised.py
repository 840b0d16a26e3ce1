"""Trains F and C on labels or on proxies: stages 1 and 4 differ in their data alone (P §3.2)."""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Union

from mxnet import nd

from gluon_madapt.config import Retrain, Source
from gluon_madapt.data import Dataset, Loader, every_batch
from gluon_madapt.evaluation.protocol import scored_along_the_way_on, scorer_along_the_way
from gluon_madapt.models import Segmenter
from gluon_madapt.models.passes import SupervisedPass
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.runs.labelled_pixels import patience
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import loop_arguments
from gluon_madapt.training.distributed import Distributed, Losses, Part, sum_of_losses
from gluon_madapt.training.loop import Loop
from gluon_madapt.training.optimizer import poly_learning_rate, segmenter_trainer


class SupervisedStep:
    """One iteration of SGD on the segmentation loss.

    Parameters
    ----------
    net : Segmenter
        F and C.
    settings : Source or Retrain
        The stage's settings.
    distributed : Distributed, optional
        The devices and processes that share the work; one CPU by default.
    moves_statistics : bool
        Whether the first pass moves the running statistics of batch norm.

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimiser, under "segmenter".
    """

    passes = 1  # of an iteration, each of one batch

    def __init__(
        self,
        net: Segmenter,
        settings: Union[Source, Retrain],
        distributed: Optional[Distributed] = None,
        moves_statistics: bool = True,
    ):
        self._distributed = distributed or Distributed()
        self._supervised = self._graph(net, settings, moves_statistics=moves_statistics)
        self.trainers = {"segmenter": segmenter_trainer(net, settings)}
        if self.passes * settings.accumulate > 1:
            self._distributed.add_up_gradients(net)

    def __call__(self, parts: Sequence[Part], learning_rate: float) -> Losses:
        """Update F and C once, by all labelled parts; return the loss, ``segmentation``, (1,)."""
        self._distributed.clear_gradients()
        losses = self._differentiate(parts)
        self.trainers["segmenter"].set_learning_rate(learning_rate)
        self._distributed.step("segmenter", self.trainers["segmenter"])
        return losses

    @staticmethod
    def _graph(net: Segmenter, settings: Union[Source, Retrain], **options) -> TrainingGraph:
        return TrainingGraph(SupervisedPass(net), settings.recompute, **options)

    def _differentiate(self, parts: Sequence[Part]) -> Losses:
        """Add the gradients of all parts to those of the network; return the sum of their shares of the losses."""
        return sum_of_losses([{"segmentation": differentiate(self._supervised, part)} for part in parts])


def differentiate(graph: TrainingGraph, part: Part) -> nd.NDArray:
    """Add a part's share of the segmentation loss to the gradients; return it, (1,)."""
    loss, _, _ = graph(part.images, part.labels)
    graph.backward(nd.ones_like(loss) * part.weight, None, None)
    return part.weight * loss


class Lesson(NamedTuple):
    """What a training learns from, and by what step.

    Attributes
    ----------
    step : SupervisedStep
        One iteration.
    loaders : sequence of Loader
        Labelled images; an iteration has the batches of each, in their order.
    images : dict of str to Dataset
        By their names in the manifest, the images whose fingerprints it holds.
    facts : dict
        What metrics.json is to say of them.
    """

    step: SupervisedStep
    loaders: Sequence[Loader]
    images: Dict[str, Dataset]
    facts: Dict[str, Any]


def lesson_of_one_domain(
    run: Run, net: Segmenter, settings: Union[Source, Retrain], loader: Loader, images: Dataset
) -> Lesson:
    """Return the lesson of stage 1, and of the paper's stage 4; ``images`` are the loader's, perhaps without labels."""
    facts = {"images": len(loader.dataset), "skipped": loader.dataset.skipped}
    return Lesson(SupervisedStep(net, settings, run.distributed), [loader], {"images": images}, facts)


def train_supervised(
    stage: str,
    run: Run,
    net: Segmenter,
    settings: Union[Source, Retrain],
    lesson: Lesson,
    inputs: Dict[str, str],
    versions: Sequence[str] = (),
) -> None:
    """Minimise the segmentation loss (P Eq. 1) by SGD under a poly schedule.

    ``inputs`` say what ``net``, and labels that are not in the fingerprints of the lesson's images, came from;
    ``versions`` says what versions of the code are behind them.
    """
    score = scorer_along_the_way(run, stage)
    is_main = run.distributed.is_main
    made_from = {name: images.fingerprint for name, images in lesson.images.items()} if is_main else {}
    folder = run.open(stage, dict(inputs, **made_from))
    loop = Loop(
        stage,
        **loop_arguments(run, stage, folder),
        settings=settings,
        networks={"segmenter": net},
        trainers=lesson.step.trainers,
        images=sum(loader.images_per_iteration for loader in lesson.loaders),
        facts=dict(lesson.facts, **(scored_along_the_way_on(run) if is_main else {})),
        score=score,
        versions=versions,
        patience=max(map(patience, lesson.loaders)),
    )

    iterations = zip(*(loader.iterations(loop.start, loop.iterations) for loader in lesson.loaders))
    for iteration, batches in loop.over(iterations):
        rate = poly_learning_rate(settings.learning_rate, settings.poly_power, iteration, loop.iterations)
        parts = run.distributed.divide(list(every_batch(batches)))
        loop.record(rate, lesson.step(parts, rate))
