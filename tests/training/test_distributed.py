"""However an iteration's images are divided over devices and passes, the networks learn the same from them."""

import mxnet as mx
import numpy as np
import pytest
from fixed_statistics import FIXED
from mxnet import nd
from mxnet.gluon.nn import BatchNorm
from small_experiments import ADVERSARY, CONFIG, small_experiment

from gluon_madapt.config import load_experiment
from gluon_madapt.data import Batch
from gluon_madapt.errors import UserError
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.stages import Run, train_source
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.checkpoint import parameter_values, read_checkpoint
from gluon_madapt.training.distributed import _all_finite

STEPS = 4
# Devices, batch size and batches of an iteration that make the same sixteen images of it.
DIVISIONS = {
    "two devices": ("[cpu(0), cpu(1)]", 8, 1),
    "four devices": ("[cpu(0), cpu(1), cpu(2), cpu(3)]", 8, 1),
    "four batches": ("[cpu(0)]", 2, 4),
    "two devices, two batches": ("[cpu(0), cpu(1)]", 4, 2),
}


def iterations(batch_size, accumulate, labelled):
    """Yield the batches of some iterations, of the same images however divided; parts differ in labelled pixels."""
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        images = rng.normal(size=(8, 3, 64, 64)).astype("f4")
        labels = rng.integers(0, 19, (8, 64, 64)).astype("u1")
        for image, label in enumerate(labels):
            label[: 8 * image] = 255
        pieces = [slice(i * batch_size, (i + 1) * batch_size) for i in range(accumulate)]
        yield [Batch(images[one], labels[one] if labelled else None, ()) for one in pieces]


def networks(stage, *overrides):
    settings = [f"{stage}.momentum=0.9", f"{stage}.learning_rate=1e-4", *overrides]
    run = Run(load_experiment(CONFIG, [*ADVERSARY, *settings]))
    return run, new_segmenter(run)


def trained(stage, devices, batch_size, accumulate, *overrides):
    """Take a few steps of a training; return all parameters and the losses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchNorm, "__init__", FIXED)
        sizes = (f"{stage}.batch_size={batch_size}", f"{stage}.accumulate={accumulate}")
        run, net = networks(stage, f"devices={devices}", *sizes, *overrides)
    settings = getattr(run.experiment, stage)
    source = iterations(batch_size, accumulate, labelled=True)
    every = {"segmenter": net}
    if stage == "source":
        step = SupervisedStep(net, settings, run.distributed)
        steps = (step(run.distributed.divide(batches), settings.learning_rate) for batches in source)
    else:
        space = new_space(run, net, settings.align, cells_of(settings))
        every.update(space.networks)
        step = AdversarialStep(net, space, settings, run.distributed)
        both = zip(source, iterations(batch_size, accumulate, labelled=False))
        steps = (step(list(zip(*map(run.distributed.divide, batches)))) for batches in both)
    run.distributed.broadcast(step.trainers, 0)
    losses = [{name: float(value.asscalar()) for name, value in one.items()} for one in steps]
    nd.waitall()
    values = {f"{name}/{key}": value for name, one in every.items() for key, value in parameter_values(one).items()}
    return values, losses, every


STAGES = {
    "source": ("source",),
    "adversarial": ("adversarial", "adversarial.lambda_1=0.1", "adversarial.lambda_2=0.1"),
    "minimax": ("adversarial", "adversarial.objective=minimax", "adversarial.lambda_1=0.1"),
    "joint": ("adversarial", "adversarial.joint_pass=true"),
    "outputs": (
        "adversarial",
        *(f"adversarial.{one}" for one in ("align=outputs", "lambda_1=0.1", "discriminator_learning_rate=3e-5")),
    ),
}
# Large discriminators take their time: they are divided in both ways at once, and in no other.
PAIRS = [
    (training, division)
    for training in STAGES
    for division in (DIVISIONS if training != "outputs" else ["two devices, two batches"])
]


@pytest.fixture(scope="module")
def whole():
    """What each training learns from whole batches on one device."""
    return {name: trained(stage, "[cpu(0)]", 8, 1, *rest)[:2] for name, (stage, *rest) in STAGES.items()}


@pytest.mark.parametrize(("training", "division"), PAIRS)
def test_a_divided_batch_teaches_what_the_whole_one_does(whole, training, division):
    stage, *overrides = STAGES[training]
    values, losses, every = trained(stage, *DIVISIONS[division], *overrides)
    expected, expected_losses = whole[training]
    for key, value in expected.items():
        np.testing.assert_allclose(values[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    for one, other in zip(losses, expected_losses):
        assert one == pytest.approx(other, rel=1e-4)
    for network in every.values():  # and every device has the same
        for key, param in network._collect_params_with_prefix().items():
            first, *others = (copy.asnumpy() for copy in param.list_data())
            assert all(np.array_equal(first, other) for other in others), key


def test_training_moves_parameters_by_more_than_divisions_may_differ():
    before = parameter_values(networks("source", "devices=[cpu(0)]")[1])
    after = trained("source", "[cpu(0)]", 8, 1)[0]
    moved = [key for key, value in before.items() if np.abs(after[f"segmenter/{key}"] - value).max() > 1e-4]
    assert len(moved) > len(before) / 3


def test_two_devices_run_all_the_way_and_go_on_as_one(tiny_world, tmp_path):
    two = small_experiment(tiny_world, "devices=[cpu(0), cpu(1)]", iterations=4)
    train_source(Run(two, tmp_path))
    assert read_checkpoint(tmp_path / "source" / "checkpoint.npz").meta["iteration"] == 4
    one = small_experiment(tiny_world, iterations=4)
    train_source(Run(one, tmp_path))  # finished: what devices a stage was trained on does not matter


def test_devices_that_cannot_share_a_batch_are_refused(tiny_world, tmp_path):
    three = small_experiment(tiny_world, "devices=[cpu(0), cpu(1), cpu(2)]")
    with pytest.raises(UserError, match="devices: 3 cannot share a batch of 2: set batch_size to a multiple of 3"):
        train_source(Run(three, tmp_path))
    assert not (tmp_path / "source").exists()


def test_synchronised_batch_norm_has_the_parameters_of_the_plain_one():
    for encoder in ("resnet101", "small"):
        plain, synchronised = Segmenter(encoder, 19), Segmenter(encoder, 19, synchronized=2)
        assert list(plain._collect_params_with_prefix()) == list(synchronised._collect_params_with_prefix())
        kinds = {type(block).__name__ for block in blocks(synchronised)}
        assert "SyncBatchNorm" in kinds
        assert "BatchNorm" not in kinds


def blocks(block):
    yield block
    for child in block._children.values():
        yield from blocks(child)


def test_synchronised_batch_norm_is_refused_on_cpus(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 0)
    run = Run(load_experiment(CONFIG, ["model.sync_bn=true"]))
    with pytest.raises(UserError, match="model.sync_bn needs GPUs, and there is none here"):
        new_segmenter(run)


@pytest.mark.parametrize("place", [None, 0, 150, 299])
def test_a_value_that_is_not_finite_is_found_among_any_number_of_arrays(place):
    arrays = [nd.ones((2, 3)) for _ in range(300)]
    if place is not None:
        arrays[place][1, 2] = np.inf
    assert _all_finite(arrays).asscalar() == (place is None)
