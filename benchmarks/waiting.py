"""How long the network waits for data at the paper's resolution: python benchmarks/waiting.py.

Real trainings of ResNet101, batches of one, on files of the size of GTA5's and Cityscapes', read by two threads while
the network has all cores; and what the threads deliver with no network beside them.
"""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from measuring import report

from gluon_madapt.config import load_experiment
from gluon_madapt.files.json_files import read_log
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.stages import Run, train_adversarial, train_source
from gluon_madapt.stages.supervised import lesson_of_one_domain, train_supervised

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "base.yaml"
IMAGES, ITERATIONS, SAMPLES = 8, 6, 40


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_trees(root)
        run = Run(load_experiment(CONFIG, overrides(root)), root / "run")
        train_source(run)
        train_adversarial(run)
        retraining = run.loader(
            "target", "retrain", run.experiment.retrain.input, run.experiment.retrain, labelled=True
        )
        net, settings = new_segmenter(run), run.experiment.retrain
        lesson = lesson_of_one_domain(run, net, settings, retraining, retraining.dataset)
        train_supervised("retrain", run, net, settings, lesson, {})
        stages = ("source", "adversarial", "retrain")
        shares = {one: share_waiting(read_log(root / "run" / one / "log.jsonl")) for one in stages}
        source = run.loader("source", "source", run.experiment.source.input, run.experiment.source, labelled=True)
        report(share_waiting=shares, samples_per_second={"source": rate(source), "retrain": rate(retraining)})


def share_waiting(entries):
    """Return the share of the time after the first iteration, which waits for the first sample once, and compiles."""
    first, last = entries[0], entries[-1]
    spent = [entry["iteration"] / entry["images_per_second"] for entry in (first, last)]
    waited = [entry["waiting_for_data"] * seconds for entry, seconds in zip((first, last), spent)]
    return (waited[1] - waited[0]) / (spent[1] - spent[0])


def rate(loader):
    """Return how many samples a second two threads prepare when they have the machine to themselves."""
    batches = loader.batches(0, SAMPLES + 1)
    next(batches)
    began = time.perf_counter()
    for _ in batches:
        pass
    return SAMPLES / (time.perf_counter() - began)


def overrides(root):
    stages = ("source", "adversarial", "retrain")
    return [
        f"data.source.root={root}/gta5",
        f"data.target.root={root}/cityscapes",
        "data.val=null",
        "model.weights=none",
        "devices=[cpu(0)]",
        *(f"{stage}.batch_size=1" for stage in stages),
        *(f"{stage}.iterations={ITERATIONS}" for stage in stages),
        # From random weights, of which nothing is expected but to stay finite.
        *(f"{stage}.learning_rate=1e-6" for stage in stages),
        "bookkeeping.log_every=1",
    ]


def write_trees(root):
    """Write GTA5 pairs and labelled Cityscapes images, as hard to decode as photographs about are."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        name = f"a_{index:06d}_000019"
        write(root / "gta5" / "images" / f"{index}.png", picture(rng, 1914, 1052))
        write(root / "gta5" / "labels" / f"{index}.png", label(rng, 1914, 1052))
        write(root / f"cityscapes/leftImg8bit/train/a/{name}_leftImg8bit.png", picture(rng, 2048, 1024))
        write(root / f"cityscapes/gtFine/train/a/{name}_gtFine_labelIds.png", label(rng, 2048, 1024))


def picture(rng, width, height):
    coarse = cv2.resize(rng.integers(0, 256, (height // 16, width // 16, 3)).astype(np.uint8), (width, height))
    return cv2.add(coarse, rng.integers(0, 8, coarse.shape).astype(np.uint8))


def label(rng, width, height):
    coarse = rng.integers(7, 34, (height // 32, width // 32)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


if __name__ == "__main__":
    main()
