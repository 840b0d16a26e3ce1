"""Trains F and C on labels or on proxies: stages 1 and 4 differ in their data alone (P §3.2)."""

from typing import Dict, Optional, Sequence, Union

from mxnet import nd

from gluon_madapt.config import Retrain, Source
from gluon_madapt.data import Dataset, Loader
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


def train_supervised(
    stage: str,
    run: Run,
    net: Segmenter,
    settings: Union[Source, Retrain],
    loader: Loader,
    images: Dataset,
    inputs: Dict[str, str],
    versions: Sequence[str] = (),
) -> None:
    """Minimise the segmentation loss (P Eq. 1) by SGD under a poly schedule.

    ``images`` are those of the loader, without labels that are among the ``inputs``, which say what ``net`` and such
    labels came from; ``versions`` says what versions of the code are behind them.
    """
    score = scorer_along_the_way(run, stage)
    folder = run.open(stage, dict(inputs, images=images.fingerprint) if run.distributed.is_main else {})
    step = SupervisedStep(net, settings, run.distributed)
    facts = {"images": len(loader.dataset), "skipped": loader.dataset.skipped}
    facts.update(scored_along_the_way_on(run) if run.distributed.is_main else {})
    loop = Loop(
        stage,
        **loop_arguments(run, stage, folder),
        settings=settings,
        networks={"segmenter": net},
        trainers=step.trainers,
        images=loader.images_per_iteration,
        facts=facts,
        score=score,
        versions=versions,
        patience=patience(loader),
    )

    for iteration, batches in loop.over(loader.iterations(loop.start, loop.iterations)):
        rate = poly_learning_rate(settings.learning_rate, settings.poly_power, iteration, loop.iterations)
        loop.record(rate, step(run.distributed.divide(batches), rate))


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

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimiser, under "segmenter".
    """

    def __init__(self, net: Segmenter, settings: Union[Source, Retrain], distributed: Optional[Distributed] = None):
        self._distributed = distributed or Distributed()
        self._supervised = TrainingGraph(SupervisedPass(net), settings.recompute)
        self.trainers = {"segmenter": segmenter_trainer(net, settings)}
        if settings.accumulate > 1:
            self._distributed.add_up_gradients(net)

    def __call__(self, parts: Sequence[Part], learning_rate: float) -> Losses:
        """Update F and C once, by all labelled parts; return the loss, ``segmentation``, (1,)."""
        self._distributed.clear_gradients()
        losses = [self._differentiate(part) for part in parts]
        self.trainers["segmenter"].set_learning_rate(learning_rate)
        self._distributed.step("segmenter", self.trainers["segmenter"])
        return sum_of_losses(losses)

    def _differentiate(self, part: Part) -> Losses:
        loss, _, _ = self._supervised(part.images, part.labels)
        self._supervised.backward(nd.ones_like(loss) * part.weight, None, None)
        return {"segmentation": part.weight * loss}
