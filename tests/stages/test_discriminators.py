"""How often the discriminators are right, and which share of F's gradient is theirs."""

import logging

import mxnet as mx
import numpy as np
import pytest
from adversarial_steps import DIVISIONS, Training
from interrupted import interrupted_in_iteration_4
from mxnet import autograd, nd
from small_experiments import small_experiment

from gluon_madapt.files.json_files import read_json, read_log
from gluon_madapt.models import Discriminator
from gluon_madapt.models.losses import source_likelihood_loss, target_likelihood_loss
from gluon_madapt.runs.run import Run
from gluon_madapt.stages import discriminator_watch, train_adversarial, train_source
from gluon_madapt.stages.discriminators import DomainLosses
from gluon_madapt.training.checkpoint import read_checkpoint


def discriminator():
    mx.random.seed(3)
    D1 = Discriminator(8, 1)
    D1.initialize(mx.init.Xavier(magnitude=2))
    return D1


def test_accuracy_is_the_share_of_cells_on_the_right_side_and_the_gradient_that_of_the_loss_alone():
    maps = [nd.random.normal(shape=(2, 8, 12, size)) for size in (16, 10)]
    D1, alone = discriminator(), discriminator()
    found = DomainLosses({"D1": D1}).differentiate(*({"D1": one} for one in maps), 0.25)
    logits = [alone(one).asnumpy() for one in maps]
    with autograd.record():
        loss = source_likelihood_loss(nd, alone(maps[0])) + target_likelihood_loss(nd, alone(maps[1]))
    loss.backward(nd.array([0.25]))
    assert list(found) == ["D1", "accuracy_D1_source", "accuracy_D1_target"]
    assert found["D1"].asscalar() == pytest.approx(0.25 * loss.asscalar(), rel=1e-6)
    assert found["accuracy_D1_source"].asscalar() == pytest.approx(0.25 * (logits[0] > 0).mean())
    assert found["accuracy_D1_target"].asscalar() == pytest.approx(0.25 * (logits[1] < 0).mean())
    assert 0 < (logits[0] > 0).mean() < 1
    assert (logits[0] > 0).mean() + (logits[1] < 0).mean() != pytest.approx(1, abs=1e-3)
    nd.waitall()
    pairs = zip(D1._collect_params_with_prefix().values(), alone._collect_params_with_prefix().values())
    for one, other in pairs:
        np.testing.assert_allclose(one.grad().asnumpy(), other.grad().asnumpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("division", ["one device", "two devices, two batches"])
def test_measuring_changes_no_bit_of_the_training(division):
    measured, plain = (Training(*DIVISIONS[division])(measure=measure) for measure in (True, False))
    assert measured.step.measured
    assert not plain.step.measured
    for context in plain.run.contexts:
        one, other = measured.values(context), plain.values(context)
        assert all(np.array_equal(one[key], other[key]) for key in one)


def gradient_of_f(*overrides):
    """Return the gradient of F on the first part of the first iteration."""
    training = Training("[cpu(0)]", 1, *overrides)
    source, target = training.batches(True, 1, 0), training.batches(False, 2, 1)
    training.step([(source[0], target[0])], measure=True)
    nd.waitall()
    params = training.net._collect_params_with_prefix().items()
    parts = [p.grad().asnumpy().ravel() for k, p in params if p.grad_req != "null" and not k.startswith("classifier")]
    return np.concatenate(parts).astype("f8"), training.step.measured


def test_the_share_of_the_adversary_is_that_of_the_norms_of_both_gradients():
    _, measured = gradient_of_f("adversarial.lambda_1=3", "adversarial.lambda_2=2")
    alone = [
        gradient_of_f("adversarial.lambda_1=3", "adversarial.lambda_2=2", "adversarial.lambda_seg=0")[0],
        gradient_of_f("adversarial.lambda_1=0", "adversarial.lambda_2=0")[0],
    ]
    adversary, segmentation = (np.linalg.norm(one) for one in alone)
    share = measured["adversary_share"].asscalar()
    assert share == pytest.approx(adversary / (adversary + segmentation), rel=1e-3)
    assert 0.01 < share < 0.99


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        (["adversarial.lambda_1=0", "adversarial.lambda_2=0"], 0),
        (["adversarial.lambda_seg=0"], 1),
        (["adversarial.lambda_seg=0", "adversarial.lambda_1=0", "adversarial.lambda_2=0"], 0),
    ],
)
def test_the_share_where_one_of_them_teaches_nothing(overrides, share):
    assert gradient_of_f(*overrides)[1]["adversary_share"].asscalar() == share


@pytest.mark.parametrize("override", ["adversarial.objective=minimax", "adversarial.joint_pass=true"])
def test_where_one_pass_has_the_gradient_of_both_no_share_is_measured(override):
    assert not gradient_of_f(override)[1]


@pytest.fixture
def begun(tiny_world, tmp_path, monkeypatch):
    """A source model, and a watch by which every discriminator has won as soon as may be."""
    monkeypatch.setattr(discriminator_watch, "WON", 0.0)
    monkeypatch.setattr(discriminator_watch, "LEAST_ITERATIONS", 0)
    train_source(Run(small_experiment(tiny_world, iterations=1), tmp_path))
    settings = ["adversarial.iterations=10", "bookkeeping={log_every: 3, eval_every: 0, checkpoint_every: 2}"]
    return tmp_path, lambda *more: Run(small_experiment(tiny_world, *settings, *more, iterations=1), tmp_path)


def test_what_is_wrong_is_said_once_and_kept(begun, caplog):
    folder, run = begun
    caplog.set_level(logging.WARNING)
    train_adversarial(run())
    assert [text.count(" has won") for text in caplog.messages] == [1, 1]
    assert caplog.messages[1].startswith("adversarial: D2 has won: it is right in")
    assert "a higher adversarial.lambda_2" in caplog.messages[1]
    metrics = read_json(folder / "adversarial" / "metrics.json")
    assert [line[:2] for line in metrics["warnings"]] == ["D1", "D2"]
    assert {"D1", "accuracy_D1_source", "adversary_share"} < set(metrics["last_tenth"])
    entries = read_log(folder / "adversarial" / "log.jsonl")
    assert [entry["iteration"] for entry in entries] == [3, 6, 9, 10]
    for entry in entries:
        numbers = [entry[f"accuracy_D{n}_{domain}"] for n in (1, 2) for domain in ("source", "target")]
        assert all(0 <= number <= 1 for number in [*numbers, entry["adversary_share"]])


def test_a_training_that_was_stopped_goes_on_with_its_course_and_says_nothing_twice(begun, caplog):
    folder, run = begun
    train_adversarial(run())
    straight = read_checkpoint(folder / "adversarial" / "checkpoint.npz").meta
    log = read_log(folder / "adversarial" / "log.jsonl")
    (folder / "adversarial").rename(folder / "straight")
    with interrupted_in_iteration_4():
        train_adversarial(run())
    train_adversarial(run())
    resumed = read_checkpoint(folder / "adversarial" / "checkpoint.npz").meta
    assert resumed["course"] == straight["course"]
    assert len(straight["course"]) == 10
    own = ("D1", "accuracy_D2_target", "adversary_share")
    again = read_log(folder / "adversarial" / "log.jsonl")
    assert [[entry[key] for key in own] for entry in again] == [[entry[key] for key in own] for entry in log]
    said = [text for text in caplog.messages if " has won" in text]
    assert len(said) == 4, "of two discriminators, once in each of two trainings"


def test_the_control_is_not_told_that_its_discriminators_win(begun, caplog):
    folder, run = begun
    train_adversarial(run("adversarial.lambda_1=0", "adversarial.lambda_2=0"))
    assert not [text for text in caplog.messages if "won" in text]
    assert read_json(folder / "adversarial" / "metrics.json")["warnings"] == []
