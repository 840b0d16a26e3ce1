"""Times an iteration of each compared method, in turn: OMP_NUM_THREADS=1 python benchmarks/methods.py [CONFIG]."""

import statistics
import sys
import time
from pathlib import Path

from gluon_madapt.config import load_experiment
from gluon_madapt.reproduction.iterations import training_iteration
from gluon_madapt.runs.run import Run

import mxnet as mx  # isort: skip

ROOT = Path(__file__).resolve().parent.parent
METHODS = {
    "stage 2, features": ("adversarial",),
    "stage 2, outputs": ("adversarial", "adversarial.align=outputs"),
    "stage 4, proxies": ("retrain",),
    "stage 4, both domains": (
        "retrain",
        "retrain.learns_from=source_and_proxies",
        "proxies.model=trained",
        "proxies.p1=1",
    ),
}
WARM, REPEATS = 2, 7


def main():
    config = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "configs" / "mini" / "gta5.yaml"
    iterations, seconds = {}, {name: [] for name in METHODS}
    for name, (stage, *settings) in METHODS.items():
        run = Run(load_experiment(config, settings))
        iterations[name] = training_iteration(run, stage, getattr(run.experiment, stage).batch_size)
    for _ in range(WARM + REPEATS):
        for name, iteration in iterations.items():
            began = time.perf_counter()
            iteration()
            mx.nd.waitall()
            seconds[name].append(time.perf_counter() - began)
    for name, taken in seconds.items():
        print(f"{name}: {statistics.median(taken[WARM:]):.3f} s")


if __name__ == "__main__":
    main()
