"""Estimates how long the steps of a plan take on this machine, from iterations measured on it."""

import gc
import json
import logging
import time
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from gluon_madapt.evaluation import predict_labels
from gluon_madapt.evaluation.protocol import protocol_of
from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.formats import duration
from gluon_madapt.models import Cells
from gluon_madapt.models.image_sizes import refuse_size
from gluon_madapt.proxies import compute_thresholds, label_image
from gluon_madapt.proxy_maps.cache import StoredMaps
from gluon_madapt.proxy_maps.network_pass import Networks
from gluon_madapt.proxy_maps.proxy_set import shares_of
from gluon_madapt.proxy_maps.scored_maps import scored_blocks
from gluon_madapt.reproduction.iterations import input_sizes, random_images, training_iteration
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.reuse import DONE, REFUSED, TO_FINISH, TO_RUN, reuse_of
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.runs.datasets import cells_of, image_count, own_size
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.rounds import of_one_round, round_of
from gluon_madapt.runs.run import Run

_log = logging.getLogger(__name__)

# Measured with as many images of the batch as together have about this many pixels, or one, to stay within memory.
_PIXELS = 1 << 20
_LEAST_SECONDS, _MOST_REPEATS = 1.0, 10
_KINDS = {DONE: "done, to reuse", TO_FINISH: "to finish, after {} iterations", TO_RUN: "to run", REFUSED: "in the way"}
# What a first call does once takes seconds, compiling among it: a small part of what takes longer than this.
_LONG_SECONDS = 60.0


class Estimate:
    """Seconds that steps take: each kind of iteration is measured once, on random images.

    Reading files is left out, and so is what a device gains from a larger batch than fits the measurement.
    """

    def __init__(self) -> None:
        self._measured: Dict[str, float] = {}

    def seconds(self, step: Step, iterations_done: int = 0) -> Optional[float]:
        """Return how long what is left of a step will take, or None where the number of its images is unknown."""
        run, experiment = step.run.anywhere(), step.run.experiment
        if step.scores:
            protocol = protocol_of(run, step.stage, step.multi_scale)
            scoring = ("score", protocol["short_side"], experiment.data.val)
            each = self._once(run, scoring, lambda: _scoring(run, protocol["short_side"]))
            # What the network does grows with the number of pixels that it sees.
            return _times(
                each * sum(s * s for s in protocol["scales"]) * (1 + protocol["mirror"]),
                image_count(run.experiment, "val"),
            )
        if step.stage == "proxies":
            where = (experiment.proxies.size, experiment.data.target)
            if step.after:  # made together with others, from the same maps and by the same passes over them
                each = self._once(run, ("labels at other shares", *where), lambda: _selection(run, alone=False))
            else:
                each = self._once(run, ("network pass", *where), lambda: _network_pass(run))
                each += self._once(run, ("thresholds and labels", *where), lambda: _selection(run, alone=True))
            return _times(each, image_count(run.experiment, "target"))
        settings = of_one_round(getattr(experiment, step.stage))
        key = [settings.batch_size, settings.recompute, input_sizes(run, step.stage), run.number > 1]
        if step.stage == "adversarial":
            key += [settings.align, settings.discriminators, settings.output_stride, settings.joint_pass]
        each = self._once(run, (step.stage, *key), lambda: _iteration(run, step.stage))
        return each * (settings.iterations - iterations_done)

    def describe(self, plans: Sequence[Plan]) -> str:
        """Lay out each step with its state and work, and the time that is left."""
        rows, total, unknown = [], 0.0, False
        for plan in plans:
            reuse = reuse_of(plan)
            for step in plan.steps.values():
                found = reuse[step.name]
                seconds = 0.0 if found.kind == DONE else self.seconds(step, found.iterations)
                unknown |= seconds is None
                total += seconds or 0.0
                text = _KINDS[found.kind].format(found.iterations)
                rows.append((step.name, text, _work(step), "-" if found.kind == DONE else duration(seconds)))
        table = text_table(("step", "state", "work", "time on this machine"), rows)
        left = "and what is not known" * unknown
        note = "(without reading files, and without scores along the way)"
        return f"{table}\n\ntime left, one command after the other: {duration(total)} {left}".rstrip() + f" {note}"

    def _once(self, run: Run, key: Tuple, measure: Callable[[], float]) -> float:
        name = json.dumps([len(run.classes), run.experiment.model.encoder, repr(key)])
        if name not in self._measured:
            _log.info("measuring %s, %s, on %s", run.experiment.name, key[0], run.context)
            self._measured[name] = measure()
            gc.collect()  # Gluon's blocks are cycles, which hold gigabytes until they are found
        return self._measured[name]


def _work(step: Step) -> str:
    if step.scores:
        return f"{image_count(step.run.experiment, 'val') or ''} val images".strip()
    if step.stage == "proxies":
        return f"{image_count(step.run.experiment, 'target') or ''} target images".strip()
    return f"{of_one_round(getattr(step.run.experiment, step.stage)).iterations} iterations"


def _iteration(run: Run, stage: str) -> float:
    """Measure an iteration of a training, in seconds."""
    settings = getattr(run.experiment, stage)
    number = _probed(settings.batch_size, input_sizes(run, stage)[0])
    return _measure(training_iteration(run, stage, number)) * settings.batch_size * settings.accumulate / number


def _network_pass(run: Run) -> float:
    """Measure what the networks cost for an image in stage 3, in seconds."""
    net, cells = new_segmenter(run), _cells(run)
    size = run.experiment.proxies.size or own_size(run.experiment, "target")
    refuse_size(size, size, run.experiment.model.encoder, cells)
    networks = Networks(run, net, new_space(run, net, run.experiment.adversarial.align, cells))
    image = random_images(run, 1, size)[0].asnumpy()
    return _measure(lambda: networks.maps(image, size[::-1]))


def _cells(run: Run) -> Mapping[str, Cells]:
    """Return the cells of the discriminators of the model that labels, by name."""
    return cells_of(run.experiment.adversarial) if "adversarial" in round_of(run.experiment).stages else {}


def _selection(run: Run, alone: bool) -> float:
    """Measure what thresholds and labels cost for an image, or labels more where there are others, in seconds."""
    own = own_size(run.experiment, "target")
    width, height = run.experiment.proxies.size or own
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(run.classes), height // 4, width // 4)).astype(np.float32)
    sizes = [(one.across(height), one.across(width)) for one in _cells(run).values()]
    discriminators = [rng.random(size, dtype=np.float32) for size in sizes]
    blocks = _Blocks(StoredMaps(own[::-1], discriminators, logits))
    shares = shares_of(run)

    thresholds = compute_thresholds(blocks, *shares)
    upsampled = [(probabilities.copy(), confidence) for probabilities, confidence in blocks]

    def label(images):
        for probabilities, confidence in images:
            label_image(probabilities, confidence, thresholds)

    def from_maps():
        compute_thresholds(blocks, *shares)
        label(blocks)

    return _measure(from_maps if alone else lambda: label(upsampled)) / run.experiment.data.threads


class _Blocks:
    """Blocks of rows in place of images, for `compute_thresholds`."""

    def __init__(self, maps: StoredMaps):
        self._maps = maps

    def __iter__(self):
        return ((probabilities, confidence) for _, probabilities, confidence in scored_blocks(self._maps))


def _scoring(run: Run, short_side: Optional[int]) -> float:
    """Measure the evaluation of one image at one scale, in seconds."""
    width, height = own_size(run.experiment, "val")
    net = new_segmenter(run)
    net.compile_for_inference(run.experiment.evaluation.precision)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return _measure(lambda: predict_labels(net, image, run.context, short_side))


def _measure(action: Callable[[], object]) -> float:
    """Return how long an action takes: the median of a few times, its graphs compiled, or just once if it is long."""
    taken = [_timed(action)]
    if taken[0] < _LONG_SECONDS:
        taken = []
        while sum(taken) < _LEAST_SECONDS and len(taken) < _MOST_REPEATS:
            taken.append(_timed(action))
    return float(np.median(taken))


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    mx.nd.waitall()
    return time.perf_counter() - began


def _probed(batch_size: int, size: Tuple[int, int]) -> int:
    return max(1, min(batch_size, _PIXELS // (size[0] * size[1])))


def _times(each: float, count: Optional[int]) -> Optional[float]:
    return None if count is None else each * count
