"""Who learns from what in stage 2."""

import numpy as np
import pytest
from mxnet import autograd, nd
from small_experiments import ADVERSARY, CONFIG

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.models.losses import source_likelihood_loss, target_likelihood_loss
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.training.checkpoint import parameter_values as values
from gluon_madapt.training.distributed import Part

RUNNING = ("running_mean", "running_var")


class World:
    """Networks, a step and a batch for some settings of stage 2."""

    def __init__(self, *overrides):
        settings = [f"adversarial.{one}" for one in ("batch_size=2", *overrides)]
        self.run = Run(load_experiment(CONFIG, [*ADVERSARY, *settings]))
        self.settings = self.run.experiment.adversarial
        self.net = new_segmenter(self.run)
        self.space = new_space(self.run, self.net, self.settings.align, cells_of(self.settings))
        self.discriminators = self.space.discriminators
        self.step = AdversarialStep(self.net, self.space, self.settings)
        rng = np.random.default_rng(0)
        self.images, self.target = (nd.array(rng.normal(size=(2, 3, 64, 64)).astype("f4")) for _ in range(2))
        self.labels = nd.array(rng.integers(0, 19, (2, 64, 64)).astype("f4"))

    def __call__(self):
        return self.step([self.parts])

    @property
    def parts(self):
        return Part(self.images, self.labels), Part(self.target)

    def learn(self, *names):
        """Update some of the networks alone; return the losses."""
        self.step._distributed.clear_gradients()
        losses = self.step._differentiate(*self.parts)
        for name in names:
            self.step.trainers[name].step(1)
        return losses

    def gradients(self):
        nd.waitall()
        return {k: p.grad().asnumpy() for k, p in keyed(self.net).items() if p.grad_req != "null"}


def keyed(network):
    return network._collect_params_with_prefix()


def changed(before, after):
    return {key for key in before if not np.array_equal(before[key], after[key])}


def test_one_iteration_updates_every_network():
    world = World()
    before = [values(one) for one in (world.net, *world.discriminators.values())]
    losses = world()
    accuracies = {f"accuracy_{name}_{domain}" for name in ("D1", "D2") for domain in ("source", "target")}
    assert set(losses) == {"segmentation", "adversarial_D1", "adversarial_D2", "D1", "D2", *accuracies}
    after = [values(one) for one in (world.net, *world.discriminators.values())]
    for old, new in zip(before, after):
        assert changed(old, new) == set(old)


def test_the_discriminators_loss_gives_the_segmenter_no_gradient():
    world = World("lambda_seg=0", "lambda_1=0", "lambda_2=0")
    losses = world.learn()
    assert all(losses[name].asscalar() > 0 for name in ("D1", "D2"))
    assert not any(value.any() for value in world.gradients().values())


def test_what_the_segmenter_receives_gives_the_discriminators_no_gradient():
    """Their gradients are those of their own loss on detached features, whatever F is taught."""
    gradients = []
    for weight in (0, 10):
        world = World(f"lambda_1={weight}", f"lambda_2={weight}")
        world.learn()
        nd.waitall()
        gradients.append([p.grad().asnumpy() for d in world.discriminators.values() for p in keyed(d).values()])
    for one, other in zip(*gradients):
        assert one.any()
        np.testing.assert_array_equal(one, other)


def expected_gradients(world, minimax=False):
    """The gradient of the whole objective in one imperative graph, from the definition."""
    for param in keyed(world.net).values():
        if param.grad_req != "null":
            param.zero_grad()
    world.net.hybridize(False)
    lambdas = {"D1": world.settings.lambda_1, "D2": world.settings.lambda_2}
    with autograd.record():
        logits, *source = world.net(world.images)
        probabilities = nd.log_softmax(logits, axis=1)
        loss = -nd.pick(probabilities, world.labels, axis=1).mean()
        _, *target = world.net(world.target)
        for name, of_source, of_target in zip(("D1", "D2"), source, target):
            discriminator = world.discriminators[name]
            if minimax:
                term = -source_likelihood_loss(nd, discriminator(of_source))
                term = term - target_likelihood_loss(nd, discriminator(of_target))
            else:
                term = source_likelihood_loss(nd, discriminator(of_target))
            loss = loss + lambdas[name] * term
    loss.backward()
    return world.gradients()


@pytest.mark.parametrize("objective", ["non_saturating", "minimax"])
def test_the_two_passes_add_up_to_the_gradient_of_the_whole_objective(objective):
    overrides = (f"objective={objective}", "lambda_1=0.3", "lambda_2=0.7", "learning_rate=1e-12")
    expected = expected_gradients(World(*overrides), minimax=objective == "minimax")
    world = World(*overrides)
    world.learn()
    found = world.gradients()
    scale = max(np.abs(one).max() for one in expected.values())
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=2e-4 * scale, err_msg=key)


def test_only_f_and_not_c_learns_from_the_target():
    world = World("lambda_seg=0", "lambda_1=1", "lambda_2=1", "weight_decay=0")
    before = values(world.net)
    world.learn("segmenter")
    moved = {key for key in changed(before, values(world.net)) if not key.endswith(RUNNING)}
    assert moved == {key for key in before if not key.startswith("classifier") and not key.endswith(RUNNING)}


def test_d2_sees_the_mid_level_map_alone():
    world = World("lambda_seg=0", "lambda_1=0", "lambda_2=1", "weight_decay=0")
    before = values(world.net)
    world.learn("segmenter")
    moved = {key.split(".")[0] for key in changed(before, values(world.net)) if not key.endswith(RUNNING)}
    assert moved == {"conv1", "bn1", "layer1", "layer2", "layer3"}


def test_with_both_weights_zero_the_segmenter_is_that_without_discriminators():
    weightless, without = World("lambda_1=0", "lambda_2=0"), World("discriminators=0")
    before = values(weightless.discriminators["D1"])
    for _ in range(2):
        weightless()
        without()
    assert not changed(values(weightless.net), values(without.net))
    assert changed(before, values(weightless.discriminators["D1"])), "with weights of 0, D still learns"


def test_target_images_move_batch_norm_statistics_even_without_an_adversary():
    worlds = [World("discriminators=0") for _ in range(2)]
    worlds[1].target = worlds[1].target * 3 + 1
    for world in worlds:
        world()
    differing = changed(*(values(world.net) for world in worlds))
    assert differing
    assert all(key.endswith(RUNNING) for key in differing)


def test_a_discriminator_learns_to_tell_the_domains_apart():
    world = World("discriminators=1", "discriminator_learning_rate=1e-3")
    world.target = world.target * 2 + 1
    losses = [world.learn("D1")["D1"].asscalar() for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    d1 = world.discriminators["D1"]
    with autograd.train_mode():
        source, target = (world.net(one)[1] for one in (world.images, world.target))
    assert d1(source).mean().asscalar() > 0 > d1(target).mean().asscalar(), "1 is source"


def test_f_learns_to_make_target_look_like_source():
    overrides = ("discriminators=1", "lambda_seg=0", "lambda_1=1", "learning_rate=0.01", "weight_decay=0")
    world = World(*overrides)
    losses = [world.learn("segmenter")["adversarial_D1"].asscalar() for _ in range(8)]
    assert losses[-1] < losses[0]


def test_one_joint_pass_trains_all_networks():
    world = World("joint_pass=true")
    before = values(world.net)
    losses = world()
    assert all(np.isfinite(loss.asscalar()) for loss in losses.values())
    assert changed(before, values(world.net)) == set(before)


def test_one_joint_pass_needs_inputs_of_one_size():
    world = World("joint_pass=true")
    world.target = nd.zeros((2, 3, 32, 64))
    with pytest.raises(UserError, match="64x64 and 64x32"):
        world()
