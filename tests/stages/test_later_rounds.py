"""Beyond the paper: statistics re-estimated before proxies, and more rounds of proxies."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from mxnet import nd
from small_experiments import CONFIG, run_stages, small_experiment, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models import SPACES, Discriminator
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.reuse import DONE, reuse_of
from gluon_madapt.reproduction.rows import rows_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.trained import load_any_segmenter, load_trained
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.stages.later_rounds import DiscriminatorStep
from gluon_madapt.training.checkpoint import parameter_values, read_checkpoint
from gluon_madapt.training.distributed import Part


@pytest.fixture(scope="module")
def two_rounds(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    run_stages(tiny_world, folder, train_source, train_adversarial, make_proxies, retrain)
    for stage in (train_adversarial, make_proxies, retrain):
        stage(Run(small_experiment(tiny_world, iterations=1), folder, number=2))
    return folder


def arrays(path, network="segmenter"):
    found = read_checkpoint(path).arrays
    return {key: value for key, value in found.items() if key.startswith(network + "/")}


def same(one, two):
    return all(np.array_equal(one[key], two[key]) for key in one)


def test_a_later_round_trains_discriminators_on_the_retrained_model_as_it_is(two_rounds):
    retrained = arrays(two_rounds / "retrain" / "checkpoint.npz")
    later = two_rounds / "round-2"
    assert same(retrained, arrays(later / "adversarial" / "checkpoint.npz"))
    for name in ("D1", "D2"):
        before = arrays(two_rounds / "adversarial" / "checkpoint.npz", name)
        assert not same(before, arrays(later / "adversarial" / "checkpoint.npz", name))
    assert not same(retrained, arrays(later / "retrain" / "checkpoint.npz"))
    model = load_trained(later)
    assert (model.origin["stage"], model.origin["round"]) == ("retrain", 2)


def test_a_later_round_stands_on_the_one_before(two_rounds, tiny_world, tmp_path):
    made = json.loads((two_rounds / "round-2" / "adversarial" / "inputs.json").read_text())
    proxies = json.loads((two_rounds / "round-2" / "proxies" / "proxies.json").read_text())
    from_source = json.loads((two_rounds / "adversarial" / "inputs.json").read_text())
    retrained = json.loads((two_rounds / "round-2" / "retrain" / "inputs.json").read_text())
    assert made["checkpoint"] == retrained["start"] == sha256(two_rounds / "retrain" / "checkpoint.npz")
    assert from_source["checkpoint"] == sha256(two_rounds / "source" / "checkpoint.npz")
    assert proxies["made_from"]["checkpoint"] == sha256(two_rounds / "round-2" / "adversarial" / "checkpoint.npz")
    with pytest.raises(UserError, match=r"retrain.checkpoint\.npz: missing.*train_proxy\.py.*--run-dir \S+$"):
        train_adversarial(Run(small_experiment(tiny_world), tmp_path, number=2))
    with pytest.raises(UserError, match=r"train_proxy\.py.*--round 3"):
        train_adversarial(Run(small_experiment(tiny_world), two_rounds, number=4))


def test_without_discriminators_there_is_no_later_round(two_rounds, tiny_world):
    experiment = small_experiment(tiny_world, "adversarial.discriminators=0")
    with pytest.raises(UserError, match=r"adversarial\.discriminators is 0"):
        train_adversarial(Run(experiment, two_rounds, number=2))


def test_discriminators_learn_while_f_and_its_statistics_stay_as_they_are(tiny_world):
    run = Run(small_experiment(tiny_world, "adversarial.discriminator_learning_rate=1e-3"))
    net = new_segmenter(run)
    step = DiscriminatorStep(
        net, new_space(run, net, "features", SPACES["features"].cells(2)), run.experiment.adversarial
    )
    parts = [tuple(Part(nd.random.normal(where, shape=(2, 3, 32, 64))) for where in (0, 2))]
    before = parameter_values(net)
    losses = [{name: float(loss.asscalar()) for name, loss in step(parts).items()} for _ in range(5)]
    assert same(before, parameter_values(net))
    assert list(losses[0])[:2] == ["D1", "D2"]
    assert all(losses[4][name] < losses[0][name] for name in ("D1", "D2"))
    assert {f"accuracy_{name}_{domain}" for name in ("D1", "D2") for domain in ("source", "target")} < set(losses[0])
    assert not step.measured


def test_a_discriminators_update_is_that_of_its_loss_alone(tiny_world):
    run = Run(small_experiment(tiny_world, "adversarial.discriminator_learning_rate=1e-3"))
    net = new_segmenter(run)
    images = [nd.random.normal(shape=(1, 3, 32, 64)) for _ in range(2)]
    space = new_space(run, net, "features", SPACES["features"].cells(1))
    D1: Discriminator = space.discriminators["D1"]
    before = parameter_values(D1)
    step = DiscriminatorStep(net, space, run.experiment.adversarial)
    loss = step([(Part(images[0], None), Part(images[1]))])["D1"]
    source, target = (1 / (1 + np.exp(-score(D1, before, net, one))) for one in images)
    expected = -np.log(source).mean() - np.log(1 - target).mean()
    assert float(loss.asscalar()) == pytest.approx(expected, rel=1e-5)
    # Adam's first update is its learning rate in every weight that has a gradient.
    last = list(before)[-1]
    assert np.abs(parameter_values(D1)[last] - before[last]) == pytest.approx(1e-3, rel=1e-3)


def score(D1, values, net, images):
    now = parameter_values(D1)
    for key, param in D1._collect_params_with_prefix().items():
        param.set_data(nd.array(values[key]))
    found = D1(net.quarter(images)[1]).asnumpy()
    for key, param in D1._collect_params_with_prefix().items():
        param.set_data(nd.array(now[key]))
    return found


def test_adabn_gives_other_maps_which_are_told_apart(two_rounds, tiny_world, tmp_path):
    plain = json.loads((two_rounds / "proxies" / "proxies.json").read_text())
    assert "adabn" not in plain["made_from"]
    start = two_rounds / "adversarial" / "checkpoint.npz"
    make_proxies(Run(small_experiment(tiny_world, "proxies.adabn_batches=3"), tmp_path, start))
    adapted = json.loads((tmp_path / "proxies" / "proxies.json").read_text())
    assert adapted["made_from"]["adabn"]["batches"] == 3
    assert adapted["labels_sha256"] != plain["labels_sha256"]
    with pytest.raises(UserError, match=r"proxies\.adabn_batches was 3, now 0"):
        make_proxies(Run(small_experiment(tiny_world), tmp_path, start))


def test_a_model_is_saved_as_it_was_scored(two_rounds, tiny_world, tmp_path):
    words = [sys.executable, str(ROOT / "tools" / "eval.py"), "--config", str(CONFIG), "--run-dir", str(two_rounds)]
    words += [word for one in small_settings(tiny_world) for word in ("--set", one)]
    words += ["--stage", "source", "--set", "evaluation.adabn_batches=3"]
    words += ["--save", str(tmp_path / "adapted.npz"), "--out", str(tmp_path / "scores.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr
    expected = json.loads((tmp_path / "scores.json").read_text())["iou"]
    run = Run(small_experiment(tiny_world))
    net, checkpoint = load_any_segmenter(run, tmp_path / "adapted.npz")
    assert score_stage(run, net, checkpoint.meta["stage"], multi_scale=False)["iou"] == expected
    assert not same(arrays(two_rounds / "source" / "checkpoint.npz"), arrays(tmp_path / "adapted.npz"))


def test_rows_beyond_the_paper_are_planned_from_what_they_share():
    settings = ["bookkeeping.eval_every=0"]
    plan = Plan(ROOT, CONFIG, settings, 3, ROOT / "nowhere")
    experiment = load_experiment(CONFIG, settings)
    for row in rows_of(3, experiment, beyond=True):
        plan.add(row)
    steps = plan.steps
    assert steps["round 2, adversarial"].needs == ("retrain",)
    assert steps["round 3, adversarial"].needs == ("round 2, retrain",)
    assert steps["round 2, retrain"].needs == ("round 2, proxies",)
    assert steps["round 2, retrain"].command[-2:] == ("--round", "2")
    assert "adabn_proxies/adversarial" not in steps
    making = {name: step.command for name, step in steps.items() if "--cache" in step.command}
    caches = {name: command[command.index("--cache") + 1] for name, command in making.items()}
    assert caches["adabn_proxies/proxies"] == str(ROOT / "nowhere" / "adabn_proxies" / "cache")
    assert caches["round 2, proxies"] == str(ROOT / "nowhere" / "round-2" / "cache")
    assert caches["proxies"] == str(ROOT / "nowhere" / "cache")
    with pytest.raises(UserError, match="--beyond adds rows to table 3"):
        rows_of(1, experiment, beyond=True)


def test_what_a_round_has_done_counts_as_done(two_rounds, tiny_world):
    plan = Plan(ROOT, CONFIG, small_settings(tiny_world, 1), None, two_rounds)
    experiment = load_experiment(CONFIG, small_settings(tiny_world, 1))
    for row in rows_of(3, experiment, beyond=True):
        if row.number == 2:
            plan.add(row)
    kinds = {name: state.kind for name, state in reuse_of(plan).items()}
    assert kinds["round 2, proxies"] == DONE
