"""Commands of trainings by several workers, on small experiments."""

import subprocess
import sys

from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.run_layout import STAGE_TOOLS, TRAININGS

PYTHON = sys.executable
# Few of stage 2, past a checkpoint: sums in another order nudge the seventh digit, and such a nudge takes one process
# alone to other weights of D1 after 20 iterations, 2e-4 away, in four of six trials.
ITERATIONS = {"source": 20, "adversarial": 6, "retrain": 20}


def settings(world, iterations=None, **changes):
    rates = [f"{stage}.learning_rate=1e-4" for stage in TRAININGS]
    lengths = [f"{stage}.iterations={iterations or own}" for stage, own in ITERATIONS.items()]
    sizes = [f"{stage}.{key}={value}" for stage in TRAININGS for key, value in changes.items()]
    return [*small_settings(world), *lengths, "bookkeeping.checkpoint_every=5", *rates, *sizes]


def command(stage, folder, overrides, fixed=False):
    tool = [str(ROOT / "tools" / STAGE_TOOLS[stage]), "--config", str(CONFIG), "--run-dir", str(folder)]
    return [
        PYTHON,
        *([str(ROOT / "tests" / "fixed_statistics.py")] if fixed else []),
        *tool,
        *(word for one in overrides for word in ("--set", one)),
    ]


def launched(words, workers=2, hosts=()):
    by_ssh = ["--hosts", ",".join(hosts)] if hosts else []
    return [PYTHON, str(ROOT / "tools" / "launch.py"), "-n", str(workers), *by_ssh, "--", *words]


def ended(words, **options):
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=300, **options)


def run(words):
    done = ended(words)
    assert done.returncode == 0, done.stderr
