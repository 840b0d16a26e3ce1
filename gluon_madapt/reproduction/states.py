"""What there is already of a plan's steps.

Only that counts which the same settings, the same images and the stages before it, as they are now, would make again.
Images that are not there cannot be compared, and are taken for the same.
"""

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.reproduction.plan import Plan, Step
from gluon_madapt.stages.checkpoint import previous_checkpoint
from gluon_madapt.stages.ownership import refuse_other_stage
from gluon_madapt.stages.proxies import METRICS
from gluon_madapt.stages.records import read_json
from gluon_madapt.stages.run import CHECKPOINT, Run
from gluon_madapt.stages.scoring import protocol_of

DONE, TO_FINISH, TO_RUN, REFUSED = "done", "to finish", "to run", "refused"

_log = logging.getLogger(__name__)

_fingerprints: Dict[Tuple, Optional[str]] = {}


class State(NamedTuple):
    """``kind`` is one of the above, ``iterations`` those that are done of a training, ``why`` what is refused."""

    kind: str
    iterations: int = 0
    why: str = ""


def states_of(plan: Plan) -> Dict[str, State]:
    """Return the state of each step, by name; a stage is refused that was made otherwise than it would be now."""
    states: Dict[str, State] = {}
    for step in plan.steps.values():
        ready = all(states[name].kind == DONE for name in step.needs)
        try:
            state = _state(plan, step, ready)
        except UserError as error:
            state = State(REFUSED, why=str(error))
        states[step.name] = State(TO_RUN) if state.kind == DONE and not ready else state
    return states


def scores_of(step: Step) -> Optional[Dict]:
    """Return what a scoring left; None if it is of another checkpoint, protocol or seed, or of other images."""
    if not (step.scores.exists() and step.checkpoint.exists()):
        return None
    try:
        scores = read_json(step.scores)
    except UserError:  # damaged: to be scored again
        return None
    run = step.run
    expected = {
        "checkpoint_sha256": _hash(step.checkpoint),
        "protocol": protocol_of(run, step.stage, step.multi_scale),
        "seed": run.experiment.seed,
    }
    images = {"val": fingerprint_of(run, "val")}
    if run.experiment.evaluation.refresh:
        images["target"] = fingerprint_of(run, "target")
    known = {key: value for key, value in images.items() if value is not None}
    same = expected.items() <= scores.items() and known.items() <= scores.get("made_from", {}).items()
    return scores if same else None


def fingerprint_of(run: Run, which: str) -> Optional[str]:
    """Return the fingerprint of the source, target or val images as the stages see them; None if there are none."""
    data = getattr(run.experiment.data, which)
    key = (which, data and data.model_dump_json(), run.experiment.classes)
    if key not in _fingerprints:  # looked at once, however many steps are made from them
        try:
            _fingerprints[key] = run.dataset(which, labelled=which != "target").fingerprint
        except UserError:
            _fingerprints[key] = None
    return _fingerprints[key]


def _state(plan: Plan, step: Step, ready: bool) -> State:
    if step.scores:
        return State(DONE if scores_of(step) else TO_RUN)
    folder = step.run.folder / step.stage
    refuse_other_stage(folder)
    changes = step.run.changes(step.stage, _inputs(plan, step) if ready else {})
    if changes:
        raise UserError(
            f"{folder}: was made otherwise ({'; '.join(changes)}): move that folder away to have it made anew, "
            "give --fresh to start over with all of this, or take another --run-dir"
        )
    if step.stage == "proxies":
        return State(DONE if (folder / METRICS).exists() else TO_RUN)
    if not (folder / CHECKPOINT).exists():
        return State(TO_RUN)
    try:
        done, iterations = step.run.progress(step.stage)
    except UserError as error:
        if not previous_checkpoint(folder / CHECKPOINT).exists():
            raise
        _log.warning("%s: the stage goes on from the one before", error)
        return State(TO_RUN)
    return State(DONE if done >= iterations else TO_FINISH, done)


def _inputs(plan: Plan, step: Step) -> Dict[str, str]:
    """Return what the stage would be made from now, as far as that is known."""
    inputs = {}
    if step.stage == "source":
        inputs = {"images": fingerprint_of(step.run, "source")}
    else:
        before = plan.steps[step.needs[0]]
        target = fingerprint_of(step.run, "target")
        made = _made_proxies(before.run if step.stage == "retrain" else step.run)
        if step.stage != "adversarial" and made.get("left_out"):
            target = step.run.dataset("target", labelled=False).without(made["left_out"]).fingerprint
        if step.stage == "retrain":
            inputs = {"proxies": made.get("labels_sha256"), "images": target}
        else:
            inputs = {"checkpoint": _hash(before.run.folder / before.stage / CHECKPOINT)}
            names = {"adversarial": "target", "proxies": "images"}
            inputs[names[step.stage]] = target
            if step.stage == "adversarial":
                inputs["source"] = fingerprint_of(step.run, "source")
    return {key: value for key, value in inputs.items() if value is not None}


def _made_proxies(run: Run) -> Dict[str, Any]:
    """Return what a run's stage 3 says of what it has made; nothing if it has not."""
    metrics = run.folder / "proxies" / METRICS
    return read_json(metrics) if metrics.exists() else {}


@lru_cache(maxsize=None)
def _hash_of(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file that many steps share, read once while it stays as it is."""
    facts = path.stat()
    return _hash_of(path, facts.st_size, facts.st_mtime_ns)
