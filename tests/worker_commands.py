"""Commands of trainings by several workers, on small experiments."""

import subprocess
import sys

from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.run_layout import STAGE_TOOLS, TRAININGS

PYTHON = sys.executable
# Past a checkpoint; few, since a sum in another order can push a unit over the kink of its ReLU, and what follows is
# another training: losses of stage 2 that agree to 3e-6 after 8 iterations have differed by 5e-4 after 20.
ITERATIONS = 6


def settings(world, iterations=ITERATIONS, **changes):
    rates = [f"{stage}.learning_rate=1e-4" for stage in TRAININGS]
    sizes = [f"{stage}.{key}={value}" for stage in TRAININGS for key, value in changes.items()]
    return [*small_settings(world, iterations), "bookkeeping.checkpoint_every=5", *rates, *sizes]


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
