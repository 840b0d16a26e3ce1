"""Output-space alignment (Tsai et al., 2018) in an iteration: who learns from what, and by which settings."""

import mxnet as mx
import numpy as np
import pytest
from adversarial_steps import DIVISIONS, Training
from conftest import ROOT
from mxnet import autograd, nd
from small_experiments import ADVERSARY, CONFIG

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.models.bilinear import resize_like
from gluon_madapt.models.losses import source_likelihood_loss, target_likelihood_loss
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.stages import Run
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.later_rounds import DiscriminatorStep
from gluon_madapt.training.checkpoint import parameter_values
from gluon_madapt.training.distributed import Part

OUTPUTS = "adversarial.align=outputs"
STRIDE = "adversarial.output_stride=8"
RUNNING = ("running_mean", "running_var")


class World:
    """Networks, a step and a batch for some settings of stage 2; source and target differ in size."""

    def __init__(self, *overrides, step=AdversarialStep):
        settings = ["adversarial.batch_size=2", "adversarial.weight_decay=0", OUTPUTS]
        settings += [f"adversarial.{one}" for one in overrides]
        self.run = Run(load_experiment(CONFIG, [*ADVERSARY, *settings]))
        self.settings = self.run.experiment.adversarial
        self.net = new_segmenter(self.run)
        self.space = new_space(self.run, self.net, self.settings.align, cells_of(self.settings))
        self.networks = {"segmenter": self.net, **self.space.networks}
        self.step = step(self.net, self.space, self.settings)
        rng = np.random.default_rng(0)
        self.images, self.target = (rng.normal(size=(2, 3, *size)).astype("f4") for size in ((64, 64), (64, 96)))
        self.labels = rng.integers(0, 19, (2, 64, 64)).astype("f4")
        self.labels[:, :3] = 255

    def __call__(self, iteration=0, differentiate=False):
        """Update all networks, or compute their gradients alone; return the losses."""
        parts = Part(nd.array(self.images), nd.array(self.labels)), Part(nd.array(self.target))
        if differentiate:
            self.step._distributed.clear_gradients()
            losses = self.step._differentiate(*parts)
        else:
            losses = self.step([parts], iteration=iteration)
        return {name: float(value.asscalar()) for name, value in losses.items()}

    def values(self):
        return {
            f"{name}/{key}": value
            for name, network in self.networks.items()
            for key, value in parameter_values(network).items()
        }

    def gradients(self, *names):
        nd.waitall()
        return {
            f"{name}/{key}": param.grad().asnumpy()
            for name in names
            for key, param in self.networks[name]._collect_params_with_prefix().items()
            if param.grad_req != "null"
        }


def changed(before, after):
    return {key for key in before if not np.array_equal(before[key], after[key])}


def by_definition(world):
    """The gradients of the whole objective in one imperative graph."""
    settings, net, added = world.settings, world.net, world.space.added
    for network in world.networks.values():
        network.collect_params().zero_grad()
        network.hybridize(False)
    lambdas = {"D1": settings.lambda_1, "D2": settings.lambda_2}
    scores = {}
    with autograd.record():
        for domain, images in (("source", world.images), ("target", world.target)):
            images = nd.array(images)  # noqa: PLW2901
            logits, _, mid = net(images)
            scores[domain] = [logits, *(resize_like(nd, one(mid), images) for one in added.values())]
        total, labels = 0, nd.array(world.labels)
        known = labels != 255
        for weight, one in zip((settings.lambda_seg, settings.lambda_auxiliary), scores["source"]):
            chosen = nd.pick(nd.log_softmax(one, axis=1), labels * known, axis=1)
            total = total - weight * (chosen * known).sum() / known.sum()
        for place, (name, D) in enumerate(world.space.discriminators.items()):
            source, target = (D(nd.softmax(scores[domain][place], axis=1)) for domain in ("source", "target"))
            if settings.objective == "minimax":
                term = -source_likelihood_loss(nd, source) - target_likelihood_loss(nd, target)
            else:
                term = source_likelihood_loss(nd, target)
            total = total + lambdas[name] * term
    total.backward()
    return world.gradients("segmenter", *added)


@pytest.mark.parametrize(
    "overrides",
    [("objective=non_saturating",), ("objective=minimax",), ("discriminators=1",), ("lambda_auxiliary=3",)],
    ids=", ".join,
)
def test_f_both_classifiers_learn_the_gradient_of_the_whole_objective(overrides):
    overrides = ("output_stride=16", "lambda_1=3", "lambda_2=7", *overrides)
    expected = by_definition(World(*overrides))
    world = World(*overrides)
    world(differentiate=True)
    found = world.gradients("segmenter", *world.space.added)
    assert found.keys() == expected.keys()
    for network in ("segmenter", *world.space.added):
        keys = [key for key in expected if key.startswith(network)]
        scale = max(np.abs(expected[key]).max() for key in keys)
        for key in keys:
            np.testing.assert_allclose(found[key], expected[key], atol=5e-4 * scale, err_msg=key)


def test_a_whole_training_is_that_of_a_twin_in_pytorch():
    torch = pytest.importorskip("torch")
    from torch_step import TorchStep  # noqa: PLC0415 - imports torch

    torch.set_num_threads(1)
    overrides = ("iterations=4", "poly_power=0.9", "discriminator_betas=[0.9, 0.99]", "lambda_1=0.3", "lambda_2=0.2")
    world = World("weight_decay=5e-4", "output_stride=16", "learning_rate=1e-3", *overrides)
    before = {name: parameter_values(network) for name, network in world.networks.items()}
    twin = TorchStep(before, world.settings, halvings=4)
    arrays = [torch.from_numpy(one) for one in (world.images, world.labels.astype("i8"), world.target)]
    for iteration in range(3):
        losses = world(iteration)
        theirs = twin(*arrays, iteration)
        ours = [losses[name] for name in ("segmentation", "auxiliary_segmentation", "D1", "D2")]
        assert ours == pytest.approx(theirs, rel=1e-3)
    for name, network in world.networks.items():
        updates, apart = 0, 0
        for key, value in parameter_values(network).items():
            if not key.endswith(RUNNING):
                expected = twin.params[name][key].detach().numpy()
                updates += np.square(expected - before[name][key]).sum()
                apart += np.square(value - expected).sum()
        assert np.sqrt(apart / updates) < 2e-2, name


def test_without_weights_nothing_is_learnt_from_the_discriminators_which_still_learn():
    one, other = (World("lambda_1=0", "lambda_2=0", f"discriminator_learning_rate={rate}") for rate in (1e-4, 1e-2))
    before = one.values()
    for world in (one, other):
        for iteration in range(2):
            world(iteration)
    differing = changed(one.values(), other.values())
    assert {key.split("/")[0] for key in differing} == {"D1", "D2"}
    assert {key.split("/")[0] for key in changed(before, one.values())} == set(one.networks)


def test_rates_decrease_by_poly_from_those_of_each_optimiser():
    world = World("poly_power=0.9", "iterations=10", "learning_rate=0.5", "discriminator_learning_rate=0.25")
    assert {name: trainer._optimizer.wd for name, trainer in world.step.trainers.items()}["auxiliary"] == 0
    for iteration in (0, 4):
        world(iteration)
        factor = (1 - iteration / 10) ** 0.9
        rates = {name: trainer.learning_rate for name, trainer in world.step.trainers.items()}
        own = {"segmenter": 0.5, "auxiliary": 0.5, "D1": 0.25, "D2": 0.25}
        assert rates == pytest.approx({name: rate * factor for name, rate in own.items()})
        assert world.step.learning_rate == rates["segmenter"]
    constant = World("learning_rate=0.3")
    constant(7)
    assert constant.step.learning_rate == 0.3, "exactly"


def test_adam_has_the_betas_of_the_settings():
    optimizer = World("discriminator_betas=[0.5, 0.75]").step.trainers["D2"]._optimizer
    assert (optimizer.beta1, optimizer.beta2) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("division", "overrides"),
    [
        pytest.param("two devices, two batches", (), marks=pytest.mark.slow),
        pytest.param("two devices", ("joint_pass=true",), marks=pytest.mark.slow),
        ("one device", ("statistics=target", "discriminators=1")),
    ],
    ids=str,
)
def test_all_is_the_same_where_activations_are_computed_twice_and_devices_stay_together(division, overrides):
    overrides = [OUTPUTS, *(f"adversarial.{one}" for one in overrides)]
    kept, twice = (
        Training(*DIVISIONS[division], f"adversarial.recompute={recompute}", *overrides)(measure=True)
        for recompute in ("false", "true")
    )
    values = [training.values(context) for training in (kept, twice) for context in kept.run.contexts]
    for other in values[1:]:
        assert {key for key in changed(values[0], other) if not key.endswith(RUNNING)} == set()
    assert changed(kept.values(mx.cpu(0)), twice.values(mx.cpu(0))) == set()
    start = Training(*DIVISIONS[division], *overrides)
    assert changed(start.values(mx.cpu(0)), values[0]) == set(values[0])


def test_a_later_round_teaches_what_is_new_alone():
    world = World("discriminator_learning_rate=1e-3", "learning_rate=1e-4", step=DiscriminatorStep)
    before = world.values()
    losses = [world() for _ in range(4)]
    moved = {key.split("/")[0] for key in changed(before, world.values())}
    assert moved == {"D1", "D2", "auxiliary"}
    for name in ("auxiliary_segmentation", "D1", "D2"):
        assert losses[-1][name] < losses[0][name], name


def test_an_auxiliary_classifier_that_nothing_teaches_is_refused():
    with pytest.raises(ConfigError, match=r"adversarial\.lambda_auxiliary = 0: expected .*greater than 0"):
        load_experiment(CONFIG, ["adversarial.lambda_auxiliary=0"])
    with pytest.raises(ConfigError, match=r"adversarial\.align = .pixels.: expected .features. or .outputs."):
        load_experiment(CONFIG, ["adversarial.align=pixels"])
    for value in ("[0.9]", "0.9", "[0.9, 1.0]"):
        with pytest.raises(ConfigError, match=r"adversarial\.discriminator_betas"):
            load_experiment(CONFIG, [f"adversarial.discriminator_betas={value}"])


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("aligned_outputs", (1e-3, 2e-4)),
        ("aligned_outputs_x100", (1e-1, 2e-2)),
        ("aligned_outputs_no_adversary", (0, 0)),
    ],
)
def test_the_ablations_state_their_settings_and_nothing_of_the_segmenter(name, weights):
    experiment, own = (
        load_experiment(ROOT / "configs" / path) for path in (f"ablations/{name}.yaml", "gta5_resnet101.yaml")
    )
    theirs = experiment.adversarial
    assert (theirs.lambda_1, theirs.lambda_2, theirs.lambda_auxiliary) == (*weights, 0.1)
    stated = {key for key in type(theirs).model_fields if getattr(theirs, key) != getattr(own.adversarial, key)}
    assert stated == {"align", "poly_power", "discriminator_betas", "lambda_2"} | (
        {"lambda_1"} if weights[0] != own.adversarial.lambda_1 else set()
    )
