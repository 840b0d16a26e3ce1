"""Finds the steps of a plan that are done already and can be used again.

A step is used again if its settings, its images and the stages before it are those of now. Images that are not there
cannot be compared, and count as the same.
"""

import logging
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.data import Dataset, is_same
from gluon_madapt.data.file_cache import digests
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.adabn import under_current_name
from gluon_madapt.evaluation.protocol import protocol_of
from gluon_madapt.files.json_files import read_json
from gluon_madapt.precision import FLOAT32
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.run_layout import CHECKPOINT, METRICS
from gluon_madapt.runs.manifest import has_manifest
from gluon_madapt.runs.ownership import refuse_other_stage
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.retrain import domains_of
from gluon_madapt.training.checkpoint import previous_checkpoint

DONE, TO_FINISH, TO_RUN, REFUSED = "done", "to finish", "to run", "refused"

_log = logging.getLogger(__name__)

_opened: Dict[Tuple, Optional[Dataset]] = {}
_fingerprints: Dict[Tuple, Optional[str]] = {}


class Reuse(NamedTuple):
    """What can be used of a step: ``kind`` as above, the ``iterations`` done of a training, ``why`` it is refused."""

    kind: str
    iterations: int = 0
    why: str = ""


def reuse_of(plan: Plan) -> Dict[str, Reuse]:
    """Return what can be used of each step, by name; a stage that was made with other settings or inputs is refused."""
    reuse: Dict[str, Reuse] = {}
    forget_images()
    for step in plan.steps.values():
        ready = all(reuse[name].kind == DONE for name in step.needs)
        try:
            found = _reuse(plan, step, ready)
        except UserError as error:
            found = Reuse(REFUSED, why=str(error))
        reuse[step.name] = Reuse(TO_RUN) if found.kind == DONE and not ready else found
    return reuse


def scores_of(step: Step) -> Optional[Dict]:
    """Return what a scoring left; None if it is of another checkpoint, protocol or seed, or of other images."""
    if not (step.scores and step.checkpoint and step.scores.exists() and step.checkpoint.exists()):
        return None
    try:
        scores = read_json(step.scores)
    except UserError:  # damaged: to be scored again
        return None
    if isinstance(scores.get("protocol"), dict):
        # An earlier version had float32 alone.
        scores["protocol"] = {"precision": FLOAT32, **under_current_name(scores["protocol"])}
    run = step.run
    expected = {
        "checkpoint_sha256": hash_of(step.checkpoint),
        "protocol": protocol_of(run, step.stage, step.multi_scale),
        "seed": run.experiment.seed,
    }
    images = {"val": fingerprint_of(run, "val")}
    if run.experiment.evaluation.adabn_batches:
        images["target"] = fingerprint_of(run, "target")
    known = {key: value for key, value in images.items() if value is not None}
    made_from = scores.get("made_from", {})
    same = expected.items() <= scores.items() and all(is_same(made_from.get(key), known[key]) for key in known)
    return scores if same and list(scores.get("iou", ())) == list(run.classes.names) else None


def forget_images() -> None:
    """Have images looked at again: days may have passed."""
    _opened.clear()
    _fingerprints.clear()


def fingerprint_of(run: Run, which: str, left_out: Sequence[str] = ()) -> Optional[str]:
    """Return the fingerprint of the source, target or val images as the stages see them; None if there are none."""
    key = (*_key(run, which), *left_out)
    if key not in _fingerprints:  # looked at once, however many steps are made from them
        dataset = opened(run, which)
        _fingerprints[key] = None if dataset is None else dataset.without(left_out).fingerprint
    return _fingerprints[key]


def opened(run: Run, which: str) -> Optional[Dataset]:
    """Return the source, target or val images as the stages see them, none of which is read; None if there are none."""
    key = _key(run, which)
    if key not in _opened:
        try:
            _opened[key] = run.dataset(which, labelled=which != "target")
        except UserError:
            _opened[key] = None
    return _opened[key]


def _key(run: Run, which: str) -> Tuple:
    data = getattr(run.experiment.data, which)
    return (which, data and data.model_dump_json(), repr(run.experiment.classes))


def _reuse(plan: Plan, step: Step, ready: bool) -> Reuse:
    if step.scores:
        return Reuse(DONE if scores_of(step) else TO_RUN)
    folder = step.run.folder / step.stage
    refuse_other_stage(folder)
    begun = has_manifest(folder)  # otherwise there is nothing to compare, and no image need be read
    changes = step.run.changes(step.stage, _inputs(plan, step) if ready and begun else {})
    if changes:
        raise UserError(
            f"{folder}: was made otherwise ({'; '.join(changes)}): move that folder away to have it made anew, "
            "give --fresh to start over with all of this, or take another --run-dir"
        )
    if step.stage == "proxies":
        return Reuse(DONE if (folder / METRICS).exists() else TO_RUN)
    if not (folder / CHECKPOINT).exists():
        return Reuse(TO_RUN)
    try:
        done, iterations = step.run.progress(step.stage)
    except UserError as error:
        if not previous_checkpoint(folder / CHECKPOINT).exists():
            raise
        _log.warning("%s: the stage goes on from the one before", error)
        return Reuse(TO_RUN)
    return Reuse(DONE if done >= iterations else TO_FINISH, done)


def _inputs(plan: Plan, step: Step) -> Dict[str, str]:
    """Return what the stage would be made from now, as far as that is known."""
    inputs = {}
    if step.stage == "source":
        inputs = {"images": fingerprint_of(step.run, "source"), "weights": _weights_of(step.run)}
    else:
        before = plan.steps[step.needs[0]]
        made = _made_proxies(before.run if step.stage == "retrain" else step.run)
        left_out = made.get("left_out", ()) if step.stage != "adversarial" else ()
        target = fingerprint_of(step.run, "target", left_out)
        if step.stage == "retrain":
            inputs = {"proxies": made.get("labels_sha256"), "images": target, "start": _start_of(plan, step)}
            if "source" in domains_of(step.run.experiment, "retrain"):
                inputs["source"] = fingerprint_of(step.run, "source")
        else:
            inputs = {"checkpoint": hash_of(before.run.folder / before.stage / CHECKPOINT)}
            names = {"adversarial": "target", "proxies": "images"}
            inputs[names[step.stage]] = target
            if step.stage == "adversarial":
                inputs["source"] = fingerprint_of(step.run, "source")
    return {key: value for key, value in inputs.items() if value is not None}


def _weights_of(run: Run) -> Optional[str]:
    """Return the hash of the weights that an encoder starts from; None where they are not there, or fetched."""
    weights = run.experiment.model.weights
    if weights == "none":
        return "none"
    return hash_of(Path(weights)) if Path(weights).is_file() else None


def _start_of(plan: Plan, step: Step) -> Optional[str]:
    """Return the hash of the weights that stage 4 starts from, as far as that is known."""
    init = step.run.experiment.retrain.init
    if step.run.number > 1:
        return None
    if init == "imagenet":
        return _weights_of(step.run)
    if init == "none":
        return "none"
    while step.stage != "source":
        step = plan.steps[step.needs[0]]
    path = step.run.folder / step.stage / CHECKPOINT
    return hash_of(path) if path.is_file() else None


def _made_proxies(run: Run) -> Dict[str, Any]:
    """Return what a run's stage 3 says of what it has made; nothing if it has not."""
    metrics = run.folder / "proxies" / METRICS
    return read_json(metrics) if metrics.exists() else {}


def hash_of(path: Path) -> Optional[str]:
    """Return the SHA-256 of a file that many steps share, read once while it stays as it is."""
    return digests([path])[0]
