"""All benchmarks, one after the other, and docs/results/speed.md from what they measure: make bench.

Each measures in a process of its own.  With nothing else running, they take about an hour on two cores.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from speed_page import page

from gluon_madapt.system.provenance import code_version
from gluon_madapt.system.threads import cores

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results" / "speed.md"
ENCODERS = ("resnet101", "vgg16")
NETWORKS = [(what, encoder) for encoder in ENCODERS for what in ("inference", "training")] + [
    ("adversarial", "resnet101")
]
# How many images a step sees, per stage, in the measurements of memory.
BATCHES = {"source": (1, 4), "adversarial": (1, 4), "retrain": (1, 4)}
STAGES = ("source", "adversarial", "proxies", "retrain", "evaluation", "multi-scale")
# A batch is tried if, in proportion to what one image takes, it fits into this share of the memory.
MOST_MEMORY = 0.85


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, help="keep what is measured in this file, and take from it what is there"
    )
    options = parser.parse_args()
    measured = Measured(options.results)
    for what, encoder in NETWORKS:
        measured.take(f"{what} {encoder}", "networks.py", what, encoder)
    measured.take("host", "host.py")
    measured.take("waiting", "waiting.py")
    measured.take("sizes resnet101", "sizes.py", "resnet101")
    for what in ("scoring", "commands"):
        measured.take(what, "whole.py", what)
    for encoder in ENCODERS:
        for stage in STAGES:
            for number in BATCHES.get(stage, (1,)):
                for how in ("kept", "recomputed") if stage in BATCHES else ("kept",):
                    one = measured.results.get(f"memory {stage} {encoder} 1 {how}", {"peak_gib": 0})["peak_gib"]
                    if number * one < MOST_MEMORY * memory_gib():
                        name = f"memory {stage} {encoder} {number} {how}"
                        options = ("--batch-size", str(number), *["--recompute"] * (how == "recomputed"))
                        measured.take(name, "memory.py", stage, encoder, *options)
    PAGE.write_text(page(measured.results, machine()), encoding="utf-8")
    print(f"written: {PAGE}")


class Measured:
    """What the benchmarks have printed, by name; kept in a file, if one is named."""

    def __init__(self, path):
        self._path = path
        self.results = json.loads(path.read_text()) if path and path.exists() else {}

    def take(self, name, script, *arguments):
        """Run a benchmark, unless there is a result of that name."""
        if name in self.results:
            return
        print(f"--- {name}", flush=True)
        command = [sys.executable, str(HERE / script), *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        self.results[name] = json.loads(done.stdout[done.stdout.index("{") :])
        if self._path:
            self._path.write_text(json.dumps(self.results, indent=2))


def machine():
    """Describe where the figures come from."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("mxnet", "torch", "numpy", "opencv-python", "Pillow"))
    threads = os.environ.get("OMP_NUM_THREADS", cores())
    return {
        "processor": f"{model}, {threads} threads for either side, {memory_gib():.0f} GiB, no GPU",
        "software": f"Python {platform.python_version()}, {packages}",
        "code": code_version(),
    }


def memory_gib():
    """Return how much memory the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


if __name__ == "__main__":
    main()
