"""Measures what a step of a training takes, in a process of its own."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Sequence

import mxnet as mx
from mxnet import nd

from gluon_madapt.config import load_experiment
from gluon_madapt.reproduction.iterations import training_iteration
from gluon_madapt.runs.run import Run

_GIB = 2**30


def peak_memory(config: Path, stage: str, device: str, overrides: Sequence[str]) -> float:
    """Return the GiB that two iterations of a training take on a device, its batch on random images.

    On a CPU it is the largest resident set of the process, MXNet itself included.

    Raises
    ------
    RuntimeError
        If the process fails, for want of memory, say.
    """
    code = f"import sys\nsys.path[:] = {sys.path!r}\nfrom pathlib import Path\n"
    code += "from gluon_madapt.device_check.memory import _report\n"
    code += f"_report(Path({str(config)!r}), {stage!r}, {device!r}, {list(overrides)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise RuntimeError(f"status {done.returncode}: {last}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def _report(config: Path, stage: str, device: str, overrides: Sequence[str]) -> None:
    run = Run(load_experiment(config, [*overrides, f"devices=[{device}]", "model.weights=none"]))
    on_gpu = run.context.device_type == "gpu"
    nd.zeros((1,), ctx=run.context).wait_to_read()  # what the device itself takes is not the training's
    before = mx.context.gpu_memory_info(run.context.device_id)[0] if on_gpu else 0
    iteration = training_iteration(run, stage, getattr(run.experiment, stage).batch_size)
    for _ in range(2):
        iteration()
        nd.waitall()
    if on_gpu:
        taken = before - mx.context.gpu_memory_info(run.context.device_id)[0]  # MXNet keeps what it has freed
    else:
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(taken / _GIB))
