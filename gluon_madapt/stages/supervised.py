"""Supervised training of F and C, on labels or on proxies: stages 1 and 4 differ in their data alone (P §3.2)."""

from typing import Dict, Sequence, Union

from mxnet import autograd

from gluon_madapt.config import Retrain, Source
from gluon_madapt.data import Loader
from gluon_madapt.models import Segmenter
from gluon_madapt.models.objectives import SupervisedPass
from gluon_madapt.stages.loop import Loop, poly_learning_rate, segmenter_trainer, to_device
from gluon_madapt.stages.run import Run
from gluon_madapt.stages.scoring import scorer_along_the_way


def train_supervised(
    stage: str,
    run: Run,
    net: Segmenter,
    settings: Union[Source, Retrain],
    loader: Loader,
    inputs: Dict[str, str],
    versions: Sequence[str] = (),
) -> None:
    """Minimise the segmentation loss (P Eq. 1) by SGD under a poly schedule.

    ``inputs`` says what ``net`` and the labels came from, ``versions`` what versions of the code are behind them.
    """
    score = scorer_along_the_way(run, stage)
    folder = run.open(stage, dict(inputs, images=loader.dataset.fingerprint))
    supervised = SupervisedPass(net)
    supervised.hybridize(static_alloc=True, static_shape=True)
    trainer = segmenter_trainer(net, settings)
    networks, trainers = {"segmenter": net}, {"segmenter": trainer}
    facts = {"images": len(loader.dataset), "skipped": loader.dataset.skipped}
    loop = Loop(stage, run, folder, settings, networks, trainers, settings.batch_size, facts, score, versions)

    for iteration, batch in zip(loop, loader.batches(loop.start, loop.iterations)):
        rate = poly_learning_rate(settings.learning_rate, settings.poly_power, iteration, loop.iterations)
        trainer.set_learning_rate(rate)
        images, labels = to_device(batch, run.context)
        with autograd.record():
            loss, _, _ = supervised(images, labels)
        loss.backward()
        trainer.step(1)  # the loss is a mean already
        loop.record(rate, segmentation=loss)
