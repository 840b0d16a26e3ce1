"""Scoring a stage's network on the labelled split."""

from typing import Callable, Dict, Optional, Sequence

from mxnet import nd

from gluon_madapt.errors import UserError
from gluon_madapt.evaluation import evaluate, summary
from gluon_madapt.evaluation.statistics import refresh_statistics
from gluon_madapt.models import Segmenter
from gluon_madapt.stages.run import Run


def scorer_along_the_way(run: Run, stage: str) -> Optional[Callable[[Segmenter], Dict]]:
    """Return what scores the network now and then during a training, or None where that is off."""
    if not run.experiment.bookkeeping.eval_every:
        return None
    val = run.dataset("val", labelled=True)

    def score(net: Segmenter) -> Dict:
        if not net.quarter._active:  # once: hybridizing again would compile again
            net.quarter.hybridize()
        short_side = getattr(run.experiment.evaluation.short_side, stage)
        matrix = evaluate(net, val, run.experiment.classes, run.context, short_side)
        return summary(matrix, run.classes)

    return score


def score_stage(run: Run, net: Segmenter, stage: str, multi_scale: bool) -> Dict:
    """Score a finished network on the val split, after refreshing its batch-norm statistics if the config asks."""
    settings = run.experiment.evaluation
    val = run.dataset("val", labelled=True)
    net.hybridize()
    if settings.refresh:
        refresh_statistics(net, _target_images(run, settings.refresh))
    scales = settings.scales if multi_scale else (1.0,)
    short_side = getattr(settings.short_side, stage)
    matrix = evaluate(net, val, run.experiment.classes, run.context, short_side, scales, multi_scale)
    if not matrix.counts.any():
        root = run.experiment.data.val.root
        raise UserError(f"{root}: no pixel of the val split is labelled as one of the {len(run.classes)} classes")
    return dict(summary(matrix, run.classes), images=len(val), protocol=f"stage {stage}, {_words(short_side, scales)}")


def _words(short_side: Optional[int], scales: Sequence[float]) -> str:
    size = "own size" if short_side is None else f"short side {short_side}"
    return size if len(scales) == 1 else f"{size}, scales {', '.join(map(str, scales))}, mirrored"


def _target_images(run: Run, batches: int):
    settings = run.experiment.adversarial
    loader = run.loader("target", "refresh", settings.target_input, settings.batch_size, labelled=False)
    return (nd.array(batch.images, ctx=run.context) for batch in loader.batches(0, batches))
