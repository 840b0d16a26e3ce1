"""Says which stages of a run were made from something else than there is now."""

from pathlib import Path
from typing import Dict, List, Optional

from gluon_madapt.data import is_same
from gluon_madapt.data.fingerprints import difference
from gluon_madapt.report.run_facts import RunFacts
from gluon_madapt.reproduction.reuse import fingerprint_of, hash_of


def outdated(facts: RunFacts) -> List[str]:
    """Return a line for each stage that something else would be made of now; what is gone cannot be compared."""
    lines = []
    for stage, one in facts.stages.items():
        if not one.inputs:
            continue
        now = _inputs_now(facts, stage)
        known = [name for name in now if name in one.inputs and now[name] is not None]
        differing = [name for name in known if not is_same(one.inputs[name], now[name])]
        if differing:
            reasons = {name: difference(one.inputs[name], now[name]) for name in differing}
            words = ", ".join(name + f" ({why})" * bool(why) for name, why in reasons.items())
            lines.append(f"{one.folder}: was made from something else than there is now: {words}")
    return lines


def _inputs_now(facts: RunFacts, stage: str) -> Dict[str, Optional[str]]:
    """Return what is known of what a stage would be made of now."""
    run, stages = facts.run, facts.stages
    if stage == "source":
        return {"images": fingerprint_of(run, "source")}
    if stage == "adversarial":
        images = {which: fingerprint_of(run, which) for which in ("source", "target")}
        return dict(images, checkpoint=None if run.number > 1 else _hash(stages["source"].checkpoint))
    images = fingerprint_of(run, "target", stages["proxies"].metrics.left_out)
    if stage == "proxies":
        return {"checkpoint": _hash(stages["adversarial"].checkpoint), "images": images}
    return {"proxies": stages["proxies"].metrics.labels_sha256, "images": images}


def _hash(path: Path) -> Optional[str]:
    return hash_of(path) if path.is_file() else None
