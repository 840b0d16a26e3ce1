"""Examines packages, devices, memory and disk."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Iterator, Tuple

import mxnet as mx
from packaging.requirements import Requirement

from gluon_madapt.config import Input
from gluon_madapt.doctor.findings import ERROR, OK, WARNING, Finding
from gluon_madapt.names import check_lengths
from gluon_madapt.runs.datasets import image_count, input_size, own_size
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.stages import Run
from gluon_madapt.stages.retrain import domains_of
from gluon_madapt.system import cuda
from gluon_madapt.system.threads import cores

_GIB = 2**30

# Of a training on a CPU, by docs/results/speed.md: GiB whatever the batch, and GiB per megapixel that a device sees at
# a time, with activations kept and computed twice.  On a GPU it is of that order; nobody has measured it there.  The
# small encoder's are guessed.
_MEMORY = {"resnet101": (1.1, 3.6, 1.7), "vgg16": (2.9, 2.5, 2.3), "small": (0.3, 0.5, 0.35)}
# What stage 2 takes more, by what is aligned: GiB whatever the batch, and per megapixel.  Of two discriminators on the
# probabilities of 19 classes, by iterations of the small encoder on a CPU, up to 512x256.
_MORE_MEMORY = {"features": (0.0, 0.0), "outputs": (0.2, 3.1)}
# Parameters of the networks, in bytes of a checkpoint, with momentum.
_CHECKPOINT_GIB = {"resnet101": 0.37, "vgg16": 0.95, "small": 0.02}
# What stage 3 keeps of an image: scores of all classes for every sixteenth pixel, and a label map.
_CACHE_BYTES_PER_PIXEL, _PROXY_BYTES_PER_PIXEL = 4 / 16, 0.05
# Computing activations twice, a quarter more time, is proposed if it takes no more than this share of their memory.
_WORTH_IT = 0.8
# Below this much over what is needed, it is tight.
_AMPLE = 1.5


def examine_packages() -> Iterator[Finding]:
    """Compare what is installed with what the package asks for."""
    wrong, versions = [], []
    try:
        requirements = metadata.requires("gluon_madapt") or ()
    except metadata.PackageNotFoundError:
        yield Finding(WARNING, "packages", "gluon_madapt is not installed, only found: make setup installs it")
        return
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing (asked for: {requirement})")
            continue
        versions.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version} (asked for: {requirement.specifier})")
    if wrong:
        yield Finding(ERROR, "packages", f"{'; '.join(wrong)}: make setup installs what works together")
    else:
        versions = [f"Python {platform.python_version()}", f"mxnet {mx.__version__}", *versions]
        yield Finding(OK, "packages", ", ".join(versions))


def examine_devices(run: Run) -> Iterator[Finding]:
    """Look at the devices, and at their memory against what each training is estimated to take.

    Raises
    ------
    UserError
        If there is no such GPU, or MXNet holds no code for it.
    """
    number = len(run.contexts)
    for context in run.contexts:
        if context.device_type == "cpu":
            yield Finding(OK, "device", f"{context}, {cores()} cores" + _idle_gpu())
        else:
            major, minor = cuda.compute_capability(context.device_id) or ("?", "?")
            yield Finding(OK, "device", f"{context}, compute capability {major}.{minor}")
    on_cpu = run.context.device_type == "cpu"
    free, whose = free_memory(run), "are available" if on_cpu else "are free on each GPU"
    for stage in round_of(run.experiment).trainings:
        settings = getattr(run.experiment, stage)
        needed = memory_of(run, stage) * (number if on_cpu else 1)
        text = f"{stage}: about {needed:.1f} GiB for a batch of {settings.batch_size}, and {free:.1f} GiB {whose}"
        if needed > free:
            hint = f"set {stage}.batch_size lower and {stage}.accumulate higher: the same images make an update"
            if not settings.recompute and _recomputing_saves(run):
                hint = f"set {stage}.recompute to true, which changes no result; or {hint[4:]}"
            yield Finding(ERROR, "memory", f"{text}: {hint}")
        else:
            yield Finding(OK if needed * _AMPLE < free else WARNING, "memory", text)


def free_memory(run: Run) -> float:
    """Return what a training may still take, in GiB: of this machine, or of that of its GPUs that has least."""
    if run.context.device_type == "cpu":
        return _available_memory() / _GIB
    return min(mx.context.gpu_memory_info(context.device_id)[0] for context in run.contexts) / _GIB


def memory_of(run: Run, stage: str) -> float:
    """Estimate what a training takes on each of its devices, in GiB."""
    settings = getattr(run.experiment, stage)
    base, kept, recomputed = _MEMORY[run.experiment.model.encoder]
    per_megapixel = recomputed if settings.recompute else kept
    if stage == "adversarial":
        more, more_per_megapixel = (settings.discriminators / 2 * one for one in _MORE_MEMORY[settings.align])
        base, per_megapixel = base + more, per_megapixel + more_per_megapixel
    return base + per_megapixel * _at_a_time(run, stage) * settings.batch_size / len(run.contexts)


def examine_disk(run: Run) -> Iterator[Finding]:
    """Compare the space where the run folder is with what checkpoints, the network pass and proxies take."""
    check_lengths(Path(), [str(run.folder)])
    folder = next(one for one in (run.folder, *run.folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(folder).free / _GIB
    checkpoints = len(round_of(run.experiment).trainings) * 2.5 * _CHECKPOINT_GIB[run.experiment.model.encoder]
    images = image_count(run.experiment, "target") or 0
    width, height = run.experiment.proxies.size or own_size(run.experiment, "target")
    own = own_size(run.experiment, "target")
    cache = images * len(run.classes) * width * height * _CACHE_BYTES_PER_PIXEL / _GIB
    proxies = images * own[0] * own[1] * _PROXY_BYTES_PER_PIXEL / _GIB
    there = sum(path.lstat().st_size for path in run.folder.rglob("*") if path.is_file()) / _GIB
    needed = max(0.0, checkpoints + cache + proxies - there)
    text = (
        f"{folder}: {free:.1f} GiB free, about {needed:.1f} GiB more needed (checkpoints {checkpoints:.1f}, "
        f"network pass over {images} images {cache:.1f}, proxies {proxies:.1f}; {there:.1f} of it there already)"
    )
    level = OK if needed * _AMPLE < free else WARNING if needed < free else ERROR
    yield Finding(level, "disk", text + (": choose another --run-dir, or make room" if level == ERROR else ""))
    if not os.access(folder, os.W_OK):
        yield Finding(ERROR, "disk", f"{folder}: cannot be written to: choose another --run-dir")


def _available_memory() -> int:
    """Return the bytes that this process may still take: what the machine has left, or its container."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    try:
        limit, taken = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current"))
        return min(available, int(limit) - int(taken))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return available


def _idle_gpu() -> str:
    return "; MXNet sees a GPU that is not used" if mx.context.num_gpus() else ""


def training_inputs(run: Run, stage: str) -> Tuple[Tuple[Input, str], ...]:
    """Return how the images of a training are resized, and whether they are the source or the target."""
    settings = getattr(run.experiment, stage)
    if stage == "adversarial":
        return (settings.source_input, "source"), (settings.target_input, "target")
    inputs = {"source": settings.input, "target": settings.input}
    if stage == "retrain" and settings.source_input:
        inputs["source"] = settings.source_input
    return tuple((inputs[which], which) for which in domains_of(run.experiment, stage))


def _recomputing_saves(run: Run) -> bool:
    """Tell whether computing activations twice is worth its time: VGG16's first ones are in use together anyway."""
    _, kept, recomputed = _MEMORY[run.experiment.model.encoder]
    return recomputed < _WORTH_IT * kept


def _at_a_time(run: Run, stage: str) -> float:
    """Return the megapixels of an image of a training, or of two where source and target are one pass."""
    passes = [_megapixels(run, *one) for one in training_inputs(run, stage)]
    return sum(passes) if stage == "adversarial" and run.experiment.adversarial.joint_pass else max(passes)


def _megapixels(run: Run, settings: Input, which: str) -> float:
    width, height = input_size(settings, own_size(run.experiment, which))
    return width * height * (1 if settings.crop else settings.scale[1] ** 2) / 1e6
