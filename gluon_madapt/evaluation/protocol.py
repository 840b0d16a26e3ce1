"""Scores a stage's network on the labelled split, by the protocol of its experiment."""

from typing import Callable, Dict, Optional, Sequence

from gluon_madapt.config import Input
from gluon_madapt.data import Dataset
from gluon_madapt.evaluation import evaluate, summary
from gluon_madapt.evaluation.adabn import adapt_to_target, how_adapted
from gluon_madapt.models import Segmenter
from gluon_madapt.precision import FLOAT32, refuse_precision
from gluon_madapt.runs.datasets import refuse_sizes
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.run import Run


def scorer_along_the_way(run: Run, stage: str) -> Optional[Callable[[Segmenter], Dict]]:
    """Return what scores the network now and then during a training, or None where that is off."""
    if not run.experiment.bookkeeping.eval_every:
        return None
    val = _val_split(run, stage)

    def score(net: Segmenter) -> Dict:
        if not net.quarter._active:  # once: hybridizing again would compile again
            net.quarter.hybridize()
        short_side = getattr(run.experiment.evaluation.short_side, stage)
        matrix = evaluate(net, val, len(run.classes), run.context, short_side)
        return summary(matrix, run.classes)

    return score


def scored_along_the_way_on(run: Run) -> Dict[str, Dict]:
    """Return what metrics.json says of the images behind its scores; nothing where there are none."""
    if not run.experiment.bookkeeping.eval_every:
        return {}
    return {"made_from": {"val": run.dataset("val", labelled=True).fingerprint}}


def protocol_of(run: Run, stage: str, multi_scale: bool) -> Dict:
    """Return by what protocol the model of a stage is scored: JSON values that two comparable scores share."""
    settings = run.experiment.evaluation
    val = run.experiment.data.val
    return {
        "stage": stage,
        "val": val and f"{val.dataset} {val.split}",
        "short_side": getattr(settings.short_side, stage),
        "scales": list(settings.scales) if multi_scale else [1.0],
        "mirror": multi_scale,
        "adabn": how_adapted(run, settings.adabn_batches) if settings.adabn_batches else None,
        "precision": settings.precision,
    }


def in_words(protocol: Dict, computed_in: Optional[str] = None) -> str:
    """Return a protocol as a line of text, with the precision that was used if it is not that of the protocol."""
    short_side, scales = protocol["short_side"], protocol["scales"]
    words = [f"stage {protocol['stage']}", "own size" if short_side is None else f"short side {short_side}"]
    if protocol["mirror"]:
        words.append(f"scales {', '.join(map(str, scales))}, mirrored")
    if protocol["adabn"]:
        words.append(f"AdaBN on {protocol['adabn']['batches']} batches")
    if protocol["precision"] != FLOAT32:
        words.append(protocol["precision"] + f" asked for, computed in {computed_in}" * bool(computed_in))
    return ", ".join(words)


def score_stage(run: Run, net: Segmenter, stage: str, multi_scale: bool) -> Dict:
    """Score a finished network on the val split, after AdaBN if the config asks for it."""
    protocol = protocol_of(run, stage, multi_scale)
    precision, scales = protocol["precision"], protocol["scales"]
    refuse_precision(precision, str(run.context))
    val = _val_split(run, stage, scales, shared=("source", "target"))
    made_from: Dict[str, str] = {"val": val.fingerprint}
    if protocol["adabn"]:
        made_from["target"] = adapt_to_target(run, net, protocol["adabn"]["batches"])
    net.compile_for_inference(precision, sizes=len(scales))
    matrix = evaluate(net, val, len(run.classes), run.context, protocol["short_side"], scales, protocol["mirror"])
    scores = dict(summary(matrix, run.classes), images=len(val), protocol=protocol, made_from=made_from)
    if precision != net.quarter.precision:
        scores["computed_in"] = net.quarter.precision
    return scores


def _val_split(run: Run, stage: str, scales: Sequence[float] = (1.0,), shared: Sequence[str] = ()) -> Dataset:
    """Open the val split; refuse, before anything is trained or scored, what has no labels or no size to be scored."""
    val = run.dataset("val", labelled=True)
    check_inputs(run, "val", val, labelled=True, shared=shared)
    seen = Input(short_side=getattr(run.experiment.evaluation.short_side, stage), scale=(min(scales), max(scales)))
    refuse_sizes(val, seen, run.experiment.model.encoder)
    return val
