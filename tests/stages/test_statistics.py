"""Whose passes move batch norm's running statistics in stage 2."""

import re

import mxnet as mx
import numpy as np
import pytest
from adversarial_steps import DIVISIONS, Training
from mxnet import autograd, nd
from mxnet.gluon.nn import BatchNorm
from small_experiments import CONFIG, small_experiment

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.runs.run import Run
from gluon_madapt.stages import train_adversarial, train_source

RUNNING = ("running_mean", "running_var")
# Devices and batches at once are the default's; each alone is for the whole suite.
EVERY_DIVISION = [
    pytest.param(name, marks=pytest.mark.slow if name in ("two devices", "two batches") else ()) for name in DIVISIONS
]


@pytest.mark.parametrize("division", EVERY_DIVISION)
@pytest.mark.parametrize("objective", ["non_saturating", "minimax"])
def test_parameters_are_the_same_whosever_statistics_are_kept(objective, division):
    both, target = (
        Training(*DIVISIONS[division], f"adversarial.objective={objective}", f"adversarial.statistics={whose}")()
        for whose in ("both", "target")
    )
    for context in both.run.contexts:
        one, other = both.values(context), target.values(context)
        differing = {key for key in one if not np.array_equal(one[key], other[key])}
        assert differing == {key for key in one if key.endswith(RUNNING)}


@pytest.mark.parametrize("division", EVERY_DIVISION)
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("statistics=target",),
        pytest.param(("objective=minimax",), marks=pytest.mark.slow),
        ("joint_pass=true",),
    ],
    ids=", ".join,
)
def test_all_is_the_same_where_activations_are_computed_twice(overrides, division):
    overrides = [f"adversarial.{one}" for one in overrides]
    kept, twice = (
        Training(*DIVISIONS[division], f"adversarial.recompute={recompute}", *overrides)(measure=True)
        for recompute in ("false", "true")
    )
    assert {k: v.asscalar() for k, v in kept.step.measured.items()} == {
        k: v.asscalar() for k, v in twice.step.measured.items()
    }
    for context in kept.run.contexts:
        one, other = kept.values(context), twice.values(context)
        assert [key for key in one if not np.array_equal(one[key], other[key])] == []


class Twin:
    """Running statistics by their definition: exponential means over the target's passes alone, in NumPy."""

    def __init__(self, training):
        self.training, self.seen = training, {}
        self.net = new_segmenter(Run(load_experiment(CONFIG, ["devices=[cpu(0)]"])))
        for key, block in norms(self.net).items():
            block.register_forward_hook(lambda _, inputs, __, key=key: self.seen.update({key: inputs[0]}))
        self.statistics = {context: self.start() for context in training.run.contexts}

    def start(self):
        pairs = norms(self.training.net).items()
        return {k: [one.data(mx.cpu(0)).asnumpy() for one in (b.running_mean, b.running_var)] for k, b in pairs}

    def watch(self, parts):
        nd.waitall()
        theirs = self.training.net._collect_params_with_prefix()
        for key, param in self.net._collect_params_with_prefix().items():
            param.set_data(theirs[key].data(mx.cpu(0)).copy())
        for part in parts:
            with autograd.train_mode():
                self.net(part.images.as_in_context(mx.cpu(0)))
            for key, block in norms(self.net).items():
                x, momentum = self.seen[key].asnumpy().astype("f8"), block._kwargs["momentum"]
                found = (x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3)))
                old = self.statistics[part.images.context][key]
                old[:] = [momentum * a + (1 - momentum) * b for a, b in zip(old, found)]


def norms(block, prefix=""):
    found = {prefix: block} if isinstance(block, BatchNorm) else {}
    for name, child in block._children.items():
        found.update(norms(child, f"{prefix}.{name}"))
    return found


@pytest.mark.parametrize("division", EVERY_DIVISION)
def test_with_target_the_running_statistics_are_of_the_targets_passes_alone(division):
    training = Training(*DIVISIONS[division], "adversarial.statistics=target")
    twin = Twin(training)
    training(twin.watch)
    assert norms(training.net)
    for context in training.run.contexts:
        for key, block in norms(training.net).items():
            for param, expected in zip((block.running_mean, block.running_var), twin.statistics[context][key]):
                found = param.data(context).asnumpy()
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4, err_msg=f"{context} {key}")


def test_a_joint_pass_has_no_statistics_of_the_target_alone():
    with pytest.raises(ConfigError, match=r"statistics: target needs a pass of the target alone.*: set joint_pass to"):
        load_experiment(CONFIG, ["adversarial.joint_pass=true", "adversarial.statistics=target"])


def test_a_stage_of_a_version_that_knew_no_such_setting_was_of_both(tiny_world, tmp_path):
    run = Run(small_experiment(tiny_world, iterations=1), tmp_path)
    train_source(run)
    train_adversarial(run)
    config = tmp_path / "adversarial" / "config.yaml"
    older, removed = re.subn(r"^ *statistics: both\n", "", config.read_text(), flags=re.MULTILINE)
    assert removed == 2  # of stages 2 and 4
    config.write_text(older)
    train_adversarial(Run(small_experiment(tiny_world, iterations=1), tmp_path))
    config.write_text(older)
    with pytest.raises(UserError, match=r"adversarial\.statistics was None, now target"):
        train_adversarial(Run(small_experiment(tiny_world, "adversarial.statistics=target", iterations=1), tmp_path))
