"""Compares steps of the trainings on a device with those on the CPU, and with themselves."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.config import load_experiment
from gluon_madapt.device_check.checks import FAILED, OK, SKIPPED, WARNING, Check
from gluon_madapt.labels import IGNORE
from gluon_madapt.models.passes import SupervisedPass
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.distributed import Part

# Images of a step, (number, height, width): of a batch that two devices can share.
_SOURCE, _TARGET = (2, 96, 128), (2, 64, 128)
# Of the length of an update: rounding, which differs, grows on its way through a hundred layers of random weights.
_BOUND = 1e-2
_SAME = 1e-5


class _Training(NamedTuple):
    """A training from its first state: what it has learnt after some steps, and what each parameter was before."""

    before: Dict[str, np.ndarray]
    after: Dict[str, np.ndarray]

    def distance(self, other: "_Training") -> float:
        """Return how far the updates of two trainings from one state are apart, as a share of the other's length."""
        length = sum(np.square(other.after[key] - other.before[key]).sum() for key in other.after)
        apart = sum(np.square(self.after[key] - other.after[key]).sum() for key in other.after)
        return float(np.sqrt(apart / length))


def check_steps(config: Path, devices: Sequence[str], overrides: Sequence[str] = ()) -> Iterator[Check]:
    """Compare one step of each training on the first device with the CPU, and with itself.

    Parameters
    ----------
    config : Path
        The experiment.
    devices : sequence of str
        Those to check; of all but the first it is checked that they learn the same together.
    overrides : sequence of str
        As for `load_experiment`.
    """
    for stage in TRAININGS:
        on_device, again, on_cpu = (
            _trained(stage, config, [device], overrides) for device in (devices[0], devices[0], "cpu(0)")
        )
        apart = on_device.distance(on_cpu)
        text = f"{stage}: the update of one step differs by {apart:.0e} of its length from the CPU's"
        yield Check(OK if apart <= _BOUND else FAILED, "one step", f"{text} (at most {_BOUND:.0e})", {stage: apart})
        twice = _trained(stage, config, [devices[0]], (*overrides, f"{stage}.recompute=true"))
        apart = twice.distance(on_device)
        text = f"{stage}: with activations computed twice it differs by {apart:.0e} of its length (at most {_SAME:.0e})"
        yield Check(OK if apart <= _SAME else FAILED, "recompute", text, {stage: apart})
        yield _repeatable(stage, config, devices[0], overrides, on_device, again)
    yield _together(config, devices, overrides)


def _repeatable(
    stage: str, config: Path, device: str, overrides: Sequence[str], one: _Training, other: _Training
) -> Check:
    differing = [key for key in one.after if one.after[key].tobytes() != other.after[key].tobytes()]
    if not differing:
        return Check(OK, "repeatable", f"{stage}: two steps from one state are the same, bit for bit", {stage: True})
    operator = _unequal_operator(config, device, overrides)
    where = f"the forward pass from {operator} on" if operator else f"the backward pass, {differing[-1]} for one"
    text = f"{stage}: two steps from one state differ: {where}: two runs of one seed will not be the same"
    return Check(WARNING, "repeatable", text, {stage: False, "differing": len(differing), "operator": operator})


def _unequal_operator(config: Path, device: str, overrides: Sequence[str]) -> Optional[str]:
    """Return the first operator of a training's forward pass that gives two results for one input, or None."""
    run = _run(config, [device], overrides)
    (part,) = _parts(run, _SOURCE)
    graph = TrainingGraph(SupervisedPass(new_segmenter(run)))
    graph(part.images, part.labels)
    passes = []
    for _ in range(2):
        # Outputs that other operators see; a workspace is left as it was found.
        monitor = mx.monitor.Monitor(1, lambda array: array.asnumpy().tobytes(), pattern=r".*_output\d*")
        monitor.install(graph.executor)
        monitor.tic()
        graph(part.images, part.labels)
        passes.append(monitor.queue)
    return next((name for (_, name, one), (_, _, other) in zip(*passes) if one != other), None)


def _together(config: Path, devices: Sequence[str], overrides: Sequence[str]) -> Check:
    """Train on all devices with batch norm synchronised, and compare with the whole batch on one."""
    what = "several devices"
    if len(devices) < 2:
        return Check(SKIPPED, what, "there is one device: two GPUs would be checked together")
    if devices[0].startswith("cpu"):
        one, other = (_trained("source", config, devices, overrides, copy) for copy in (0, 1))
        same = all(one.after[key].tobytes() == other.after[key].tobytes() for key in _learnt(one))
        text = f"{len(devices)} devices have the same parameters after a step; sync_bn needs GPUs"
        return Check(OK if same else FAILED, what, text if same else f"{len(devices)} devices learn different things")
    synchronised = (*overrides, "model.sync_bn=true")
    apart = _trained("source", config, devices, synchronised).distance(
        _trained("source", config, devices[:1], overrides)
    )
    text = f"a step of {len(devices)} GPUs with sync_bn differs by {apart:.0e} of its length from one GPU's"
    return Check(OK if apart <= _BOUND else FAILED, what, f"{text} (at most {_BOUND:.0e})", {"sync_bn": apart})


def _learnt(training: _Training) -> List[str]:
    return [key for key in training.after if "running" not in key]


def _trained(
    stage: str, config: Path, devices: Sequence[str], overrides: Sequence[str], read_from: int = 0
) -> _Training:
    """Return a training after one step, on the images and from the state that every call has."""
    run = _run(config, devices, overrides)
    settings = getattr(run.experiment, stage)
    net = new_segmenter(run)
    networks: Dict[str, Any] = {"segmenter": net}
    context = run.contexts[read_from]
    if stage == "adversarial":
        space = new_space(run, net, settings.align, cells_of(settings))
        networks.update(space.networks)
        step = AdversarialStep(net, space, settings, run.distributed)
        run.distributed.broadcast(step.trainers, 0)
        before = _values(networks, context)
        step(list(zip(_parts(run, _SOURCE), _parts(run, _TARGET))))
    else:
        learner = SupervisedStep(net, settings, run.distributed)
        run.distributed.broadcast(learner.trainers, 0)
        before = _values(networks, context)
        learner(_parts(run, _SOURCE), settings.learning_rate)
    return _Training(before, _values(networks, context))


def _run(config: Path, devices: Sequence[str], overrides: Sequence[str]) -> Run:
    batches = [f"{stage}.batch_size={_SOURCE[0]}" for stage in TRAININGS]
    names = f"devices=[{', '.join(devices)}]"
    return Run(load_experiment(config, [*overrides, *batches, "model.weights=none", names]))


def _parts(run: Run, size: Tuple[int, int, int]) -> List[Part]:
    """Return random labelled images, divided over the devices of a run."""
    rng = np.random.default_rng(0)
    number, height, width = size
    images = rng.normal(size=(number, 3, height, width)).astype(np.float32)
    labels = rng.integers(0, len(run.classes), (number, height, width)).astype(np.float32)
    labels[:, 0] = IGNORE
    share = 1 / len(run.contexts)
    return [
        Part(nd.array(image, ctx=context), nd.array(label, ctx=context), share, share)
        for context, image, label in zip(
            run.contexts, np.split(images, len(run.contexts)), np.split(labels, len(run.contexts))
        )
    ]


def _values(networks: Dict[str, Any], context: mx.Context) -> Dict[str, np.ndarray]:
    nd.waitall()
    return {
        f"{name}/{key}": param.data(context).asnumpy()
        for name, network in networks.items()
        for key, param in network._collect_params_with_prefix().items()
    }
