"""Runs the four stages on a mini world of a few images."""

import math
from pathlib import Path
from typing import Iterator, Sequence

from gluon_madapt.config import load_experiment
from gluon_madapt.device_check.checks import FAILED, OK, Check
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.files.json_files import read_json, read_log
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import load_segmenter
from gluon_madapt.stages import make_proxies, retrain, train_adversarial, train_source

_WHAT = "four stages"
_IMAGES = {"gta5": 60, "synthia": 1, "train": 40, "val": 20}


def check_stages(config: Path, device: str, folder: Path, overrides: Sequence[str]) -> Iterator[Check]:
    """Train all stages of an experiment on a world that is drawn for it, and score the first and the last model.

    What is learnt in so few iterations is reported, and not judged, but for a segmentation loss that does not sink.
    """
    world = folder / "world"
    make_miniworld(world, seed=1, **_IMAGES)
    places = [f"data.source.root={world}/gta5", *(f"data.{one}.root={world}/cityscapes" for one in ("target", "val"))]
    run = Run(load_experiment(config, [*places, *overrides, f"devices=[{device}]"]), folder / "run")
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(run)
    for name in TRAININGS:
        losses = [
            entry["segmentation"] for entry in read_log(run.folder / name / "log.jsonl") if "segmentation" in entry
        ]
        sank = all(map(math.isfinite, losses)) and losses[-1] < losses[0]
        text = f"{name}: segmentation loss from {losses[0]:.2f} to {losses[-1]:.2f}"
        fine = sank or (name != "source" and all(map(math.isfinite, losses)))
        yield Check(OK if fine else FAILED, _WHAT, text, {name: [losses[0], losses[-1]]})
    share = read_json(run.folder / "proxies" / "proxies.json")["share_labelled"]
    yield Check(OK if 0 < share <= 1 else FAILED, _WHAT, f"proxies: {share:.0%} of the pixels", {"proxies": share})
    scores = {}
    for name in ("source", "retrain"):
        net = load_segmenter(run, run.checkpoint_of(name))
        scores[name] = score_stage(run, net, name, multi_scale=False)["miou"]
    text = f"mIoU {scores['source']:.1f} before, {scores['retrain']:.1f} after, of so short a training"
    yield Check(OK, _WHAT, text, {"miou": scores})
