"""Output-space alignment (Tsai et al., 2018) from stage to stage: what is kept, and what stage 3 makes of it."""

import shutil

import numpy as np
import pytest
from interrupted import assert_same, interrupted_in_iteration_4
from mxnet import nd
from small_experiments import small_experiment

from gluon_madapt.data import normalize, resize_image
from gluon_madapt.files.json_files import read_log
from gluon_madapt.models import SPACES
from gluon_madapt.models.classifier import Classifier
from gluon_madapt.models.output_space import OutputDiscriminator
from gluon_madapt.proxy_maps.network_pass import discriminators_in
from gluon_madapt.runs.trained import load_trained
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.checkpoint import load_network, read_checkpoint, stored_networks

OUTPUTS = "adversarial.align=outputs"
STRIDE = "adversarial.output_stride=8"


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    """A run folder with all stages in it, and a second round."""
    folder = tmp_path_factory.mktemp("outputs") / "run"
    experiment = small_experiment(tiny_world, OUTPUTS, STRIDE, iterations=1)
    train_source(Run(experiment, folder))
    for number in (1, 2):
        for stage in (train_adversarial, make_proxies, retrain):
            stage(Run(experiment, folder, number=number))
    return folder


def brute_force(folder, image, size):
    """What D1 and D2 say of an image, from the files alone: class probabilities of either classifier, upsampled."""
    path = folder / "adversarial" / "checkpoint.npz"
    checkpoint, model = read_checkpoint(path), load_trained(path)
    D1, D2, auxiliary = OutputDiscriminator(19, 3), OutputDiscriminator(19, 3), Classifier(19, model.net.mid_channels)
    for name, network in {"D1": D1, "D2": D2, "auxiliary": auxiliary}.items():
        network.initialize()
        load_network(checkpoint, name, network, path)
    seen = nd.array(normalize(resize_image(image, size))[None])
    logits, _, mid = model.net(seen)
    scores = (logits, nd.contrib.BilinearResize2D(auxiliary(mid), height=size[1], width=size[0]))
    return [1 / (1 + np.exp(-D(nd.softmax(one, axis=1)).asnumpy()[0, 0])) for D, one in zip((D1, D2), scores)]


@pytest.mark.parametrize("later", [False, True])
def test_stage_3_shows_the_discriminators_what_they_saw_in_training(finished, tiny_world, later):
    folder = finished / "round-2" if later else finished
    target = Run(small_experiment(tiny_world, OUTPUTS), folder).dataset("target", labelled=False)
    for index in (0, len(target.samples) - 1):
        expected = brute_force(folder, target.image(index), (64, 32))
        with np.load(folder / "cache" / f"{target.samples[index].name}.npz") as stored:
            found = [stored[key] for key in sorted(stored.files) if key.startswith("D")]
        assert [one.shape for one in found] == [(4, 8), (4, 8)]
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_checkpoint_says_what_was_aligned_and_holds_the_auxiliary_classifier(finished, tiny_world):
    path = finished / "adversarial" / "checkpoint.npz"
    assert read_checkpoint(path).meta["align"] == "outputs"
    assert stored_networks(path) == {"segmenter", "auxiliary", "D1", "D2"}
    assert discriminators_in(path) == SPACES["outputs"].cells(2, 8)
    (entry,) = read_log(finished / "adversarial" / "log.jsonl")
    assert {"segmentation", "auxiliary_segmentation", "adversarial_D2", "adversary_share"} < set(entry)
    with pytest.raises(Exception, match=r"adversarial\.align was outputs, now features"):
        train_adversarial(Run(small_experiment(tiny_world, STRIDE, iterations=1), finished))


def test_d1_alone_needs_no_auxiliary_classifier(finished, tiny_world, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished / "source", folder / "source")
    experiment = small_experiment(tiny_world, OUTPUTS, "adversarial.discriminators=1", iterations=1)
    for stage in (train_adversarial, make_proxies):
        stage(Run(experiment, folder))
    path = folder / "adversarial" / "checkpoint.npz"
    assert stored_networks(path) == {"segmenter", "D1"}
    assert discriminators_in(path) == {"D1": (1, 5)}


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(finished, tiny_world, tmp_path):
    settings = (OUTPUTS, "adversarial.poly_power=0.9", "adversarial.iterations=6")
    for name in ("straight", "resumed"):
        shutil.copytree(finished / "source", tmp_path / name / "source")
    runs = [
        Run(small_experiment(tiny_world, *settings, iterations=1), tmp_path / name) for name in ("straight", "resumed")
    ]
    train_adversarial(runs[0])
    with interrupted_in_iteration_4():
        train_adversarial(runs[1])
    train_adversarial(Run(runs[1].experiment, runs[1].folder))
    paths = [run.folder / "adversarial" / "checkpoint.npz" for run in runs]
    assert_same(*paths)
    momenta = [key for key in read_checkpoint(paths[0]).arrays if key.startswith("optimizer/auxiliary/")]
    assert len(momenta) == 8
