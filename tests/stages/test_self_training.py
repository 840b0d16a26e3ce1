"""One iteration on source labels and target proxies together, and how batches of both domains are divided."""

import numpy as np
import pytest
from conftest import ROOT
from fixed_statistics import FIXED
from mxnet import autograd, nd
from mxnet.gluon.nn import BatchNorm
from small_experiments import CONFIG

from gluon_madapt.config import load_experiment, stated_settings
from gluon_madapt.data import Batch
from gluon_madapt.labels import IGNORE
from gluon_madapt.models.losses import segmentation_loss
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.self_training import SelfTrainingStep
from gluon_madapt.training.checkpoint import parameter_values
from gluon_madapt.training.distributed import Part

SETTINGS = stated_settings(ROOT / "configs" / "ablations" / "class_balanced.yaml")
# Of either domain, (number, height, width), and how many of the first rows of each label are ignored.
SOURCE, TARGET = (4, 32, 64, 5), (4, 64, 32, 40)


def batches(rng, number, height, width, ignored):
    labels = rng.integers(0, 19, (number, height, width)).astype("u1")
    labels[:, :ignored] = IGNORE
    return Batch(rng.normal(size=(number, 3, height, width)).astype("f4"), labels, ())


def parts_of(*whole):
    """Return a part for each batch; weights are shares of the labelled pixels of both domains."""
    counts = [int((batch.labels != IGNORE).sum()) for batch in whole]
    return [
        Part(nd.array(batch.images), nd.array(batch.labels, dtype="float32"), 0.5, count / sum(counts))
        for batch, count in zip(whole, counts)
    ]


def sum_of_cross_entropy(net, part):
    """Return the cross entropy of a part's labelled pixels, added up by hand, and how many there are."""
    with autograd.train_mode():
        logits, _, _ = net(part.images)
    scores, labels = logits.asnumpy().astype("f8"), part.labels.asnumpy().astype(int)
    log = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    chosen = np.take_along_axis(log, np.where(labels == IGNORE, 0, labels)[:, None], axis=1)[:, 0]
    return -chosen[labels != IGNORE].sum(), (labels != IGNORE).sum()


@pytest.fixture
def net():
    return new_segmenter(Run(load_experiment(CONFIG)))


def settings_of(*overrides):
    return load_experiment(CONFIG, [*SETTINGS, "retrain.momentum=0", *overrides]).retrain


def test_the_loss_counts_every_labelled_pixel_of_either_domain_the_same(net):
    rng = np.random.default_rng(0)
    source, target = parts = parts_of(batches(rng, *SOURCE), batches(rng, *TARGET))
    (of_source, pixels), (of_target, proxies) = (sum_of_cross_entropy(net, part) for part in parts)
    losses = {key: float(value.asscalar()) for key, value in SelfTrainingStep(net, settings_of())(parts, 0.1).items()}
    assert source.images.shape != target.images.shape
    assert losses["segmentation_source"] == pytest.approx(of_source / (pixels + proxies), rel=1e-4)
    assert losses["segmentation_target"] == pytest.approx(of_target / (pixels + proxies), rel=1e-4)
    assert losses["segmentation"] == pytest.approx((of_source + of_target) / (pixels + proxies), rel=1e-4)


def test_an_update_is_that_of_both_gradients(net):
    parts = parts_of(*(batches(np.random.default_rng(1), *shape) for shape in (SOURCE, TARGET)))
    before, params = parameter_values(net), net._collect_params_with_prefix()
    gradients = {key: 0 for key, param in params.items() if param.grad_req != "null"}
    for part in parts:  # by Gluon, each pass on its own
        with autograd.record():
            logits, _, _ = net(part.images)
            loss = segmentation_loss(nd, logits, part.labels, part.images) * part.weight
        loss.backward()
        gradients = {key: value + params[key].grad().asnumpy() for key, value in gradients.items()}
    for key, value in before.items():  # batch norm's statistics have moved
        params[key].set_data(nd.array(value))
    settings = settings_of("retrain.weight_decay=0.01")
    SelfTrainingStep(net, settings)(parts, 0.1)
    after = parameter_values(net)
    for key, gradient in gradients.items():
        expected = before[key] - 0.1 * (gradient + 0.01 * before[key])
        np.testing.assert_allclose(after[key], expected, rtol=1e-4, atol=1e-6, err_msg=key)


def test_a_twin_in_pytorch_has_the_same_loss_and_gradient(net):
    torch = pytest.importorskip("torch")
    parts = parts_of(*(batches(np.random.default_rng(2), *shape) for shape in (SOURCE, TARGET)))
    total, count, leaves = 0, 0, []
    for part in parts:
        with autograd.train_mode():
            feature, _ = net.extract_features(part.images)
            leaf = torch.tensor(net.classifier(feature).asnumpy(), requires_grad=True)
        labels = torch.tensor(part.labels.asnumpy()).long()
        logits = torch.nn.functional.interpolate(leaf, labels.shape[1:], mode="bilinear", align_corners=True)
        total = total + torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
        count += int((labels != IGNORE).sum())
        leaves.append(leaf)
    (total / count).backward()
    # The bias of every branch of the classifier is in every score.
    expected = sum(leaf.grad.sum(dim=(0, 2, 3)) for leaf in leaves).numpy()
    before = net.classifier.b1.bias.data().asnumpy()
    losses = SelfTrainingStep(net, settings_of("retrain.weight_decay=0"))(parts, 1.0)
    assert float(losses["segmentation"].asscalar()) == pytest.approx(float(total / count), rel=1e-4)
    nd.waitall()
    moved = before - net.classifier.b1.bias.data().asnumpy()
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-6)


def trained(devices, accumulate, recompute=False, steps=3):
    """Take a few steps on the same images of both domains, however divided; return parameters and losses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchNorm, "__init__", FIXED)
        own = [f"devices={devices}", f"retrain.accumulate={accumulate}", f"retrain.recompute={recompute}".lower()]
        run = Run(load_experiment(CONFIG, [*SETTINGS, *own]))
        net = new_segmenter(run)
    step, rng, losses = SelfTrainingStep(net, run.experiment.retrain, run.distributed), np.random.default_rng(0), []
    run.distributed.broadcast(step.trainers, 0)
    for _ in range(steps):
        whole = [batches(rng, *shape) for shape in (SOURCE, TARGET)]
        pieces = [
            Batch(image, label, ())
            for one in whole
            for image, label in zip(np.split(one.images, accumulate), np.split(one.labels, accumulate))
        ]
        losses.append({name: float(one.asscalar()) for name, one in step(run.distributed.divide(pieces), 1e-4).items()})
    nd.waitall()
    return parameter_values(net), losses


@pytest.fixture(scope="module")
def undivided():
    return trained("[cpu(0)]", 1)


@pytest.mark.parametrize(("devices", "accumulate"), [("[cpu(0), cpu(1)]", 1), ("[cpu(0)]", 2), ("[cpu(0), cpu(1)]", 2)])
def test_however_batches_are_divided_both_domains_teach_the_same(undivided, devices, accumulate):
    values, losses = trained(devices, accumulate)
    for key, value in undivided[0].items():
        np.testing.assert_allclose(values[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    for one, other in zip(losses, undivided[1]):
        assert one == pytest.approx(other, rel=1e-4)


def test_activations_computed_twice_teach_the_same_bit_for_bit(undivided):
    values, losses = trained("[cpu(0)]", 1, recompute=True)
    assert losses == undivided[1]
    assert all(np.array_equal(values[key], value) for key, value in undivided[0].items())


def test_whose_passes_move_running_statistics_changes_no_parameter_and_leaves_those_of_the_target_alone():
    def after(statistics, *domains):
        net = new_segmenter(Run(load_experiment(CONFIG)))
        settings = settings_of("retrain.statistics=" + statistics)
        rng = np.random.default_rng(0)
        both = parts_of(batches(rng, *SOURCE), batches(rng, *TARGET))
        SelfTrainingStep(net, settings)([both[domain] for domain in domains], 0.01)
        nd.waitall()
        return parameter_values(net)

    both, target, alone = after("both", 0, 1), after("target", 0, 1), after("both", 1, 1)
    running = [key for key in both if "running" in key]
    assert [key for key in both if key not in running and both[key].tobytes() != target[key].tobytes()] == []
    assert all(both[key].tobytes() != target[key].tobytes() for key in running)
    # Here the target's images pass twice.
    for key in running:
        start = 0.0 if key.endswith("mean") else 1.0
        once = start + (alone[key] - start) / (1 + 0.9)
        np.testing.assert_allclose(target[key], once, rtol=1e-4, atol=1e-5, err_msg=key)
