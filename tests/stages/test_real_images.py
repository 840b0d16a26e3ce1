"""Real labelled Cityscapes images, where they are at hand, as the target of all stages."""

import json
import resource

import numpy as np
import pytest
from brute_force import divided_labels, sorted_thresholds, whole_images
from conftest import REAL, ROOT, opened
from mxnet import nd
from PIL import Image
from small_experiments import small_experiment

from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation import evaluate, summary
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.proxy_maps.network_pass import open_cache
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.trained import load_segmenter
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.training.checkpoint import parameter_values
from gluon_madapt.training.distributed import Part

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real Cityscapes images here")

# Cityscapes' own table of (label id, train id), written down a second time.
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13,
             27: 14, 28: 15, 31: 16, 32: 17, 33: 18}  # fmt: skip


def real(labelled=True):
    return opened("cityscapes", REAL, "train", 19 if labelled else None)


def test_labels_are_decoded_as_cityscapes_says():
    dataset = real()
    assert len(dataset) == 4
    for index, sample in enumerate(dataset.samples):
        assert dataset.image(index).shape == (1024, 2048, 3)
        with Image.open(sample.label) as image:
            raw = np.array(image)
        expected = np.full(raw.shape, 255)
        for label_id, train_id in TRAIN_IDS.items():
            expected[raw == label_id] = train_id
        np.testing.assert_array_equal(dataset.label(index), expected)
        with Image.open(sample.image) as image:
            np.testing.assert_array_equal(dataset.image(index), np.array(image))


@pytest.mark.slow
def test_all_stages_run_on_real_target_images(tiny_world, tmp_path):
    experiment = small_experiment(
        tiny_world,
        f"data.target.root={REAL}",
        f"data.val={{dataset: cityscapes, root: {REAL}, split: train}}",
        "adversarial.target_input={size: [128, 64]}",
        "proxies.size=[128, 64]",
        "retrain.input={scale: [0.07, 0.13], crop: [64, 64]}",
        "evaluation.short_side={source: 64, adversarial: 64, retrain: 96}",
    )
    run = Run(experiment, tmp_path)
    for stage in (train_source, train_adversarial):
        stage(run)
    make_proxies(run, audit=True)
    assert_proxies_are_those_of_a_sort(run)
    retrain(run)
    net = load_segmenter(run, tmp_path / "retrain" / "checkpoint.npz")
    assert 0 <= score_stage(run, net, "retrain", multi_scale=False)["miou"] <= 100


def assert_proxies_are_those_of_a_sort(run):
    """Compare thresholds and labels of the real images with a sort of all of their 8 million pixels."""
    record = json.loads((run.folder / "proxies" / "proxies.json").read_text())
    target = run.dataset("target", labelled=False)
    inputs = {key: record["made_from"][key] for key in ("checkpoint", "images")}
    start = run.folder / "adversarial" / "checkpoint.npz"
    cache = open_cache(run, start, target, run.folder / "cache", inputs)
    images = whole_images(cache.read(index) for index in range(4))
    t1, t2 = sorted_thresholds(images, 0.6, 0.8)
    assert record["t1"] == float(t1)
    assert list(record["t2"].values()) == [float(one) for one in t2]
    right = known = 0
    for index, (probabilities, confidence) in enumerate(images):
        assert confidence.shape == (1024, 2048)
        with Image.open(run.folder / "proxies" / "labels" / target.samples[index].name) as image:
            labels = np.asarray(image)
        np.testing.assert_array_equal(labels, divided_labels(probabilities, confidence, t1, t2))
        truth = real().label(index)
        both = (truth != 255) & (labels != 255)
        right, known = right + (truth == labels)[both].sum(), known + both.sum()
    assert record["audit"]["proxies"]["accuracy"] == right / known


@pytest.mark.slow
def test_resnet101_at_the_papers_resolution(record_property):
    """One adversarial step, 1280x720 source and 1024x512 target, and one evaluation at 2048x1024."""
    overrides = ["adversarial.batch_size=1", "model.weights=none"]
    run = Run(load_experiment(ROOT / "configs" / "base.yaml", overrides))
    settings = run.experiment.adversarial
    net = new_segmenter(run)
    step = AdversarialStep(net, new_space(run, net, settings.align, cells_of(settings)), settings)
    rng = np.random.default_rng(0)
    source = nd.array(rng.normal(size=(1, 3, 720, 1280)).astype("float32"))
    labels = nd.array(rng.integers(0, 19, (1, 720, 1280)).astype("float32"))
    target = run.loader_of(real(labelled=False), "adversarial/target", settings.target_input, settings, labelled=False)
    target_images = nd.array(next(target.batches(0, 1)).images)
    assert target_images.shape == (1, 3, 512, 1024)
    before = parameter_values(net)["conv1.weight"]
    losses = {
        name: float(value.asscalar()) for name, value in step([(Part(source, labels), Part(target_images))]).items()
    }
    assert all(np.isfinite(value) for value in losses.values())
    assert not np.array_equal(parameter_values(net)["conv1.weight"], before)
    after_step = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    one = real()
    one.samples = one.samples[:1]
    scores = summary(evaluate(net, one, 19, run.context), run.classes)
    assert 0 <= scores["miou"] <= 100
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    record_property("peak_gib_after_step", round(after_step, 2))
    record_property("peak_gib", round(peak, 2))
    print(f"\npeak memory {after_step:.2f} GiB after the step, {peak:.2f} GiB after the evaluation; losses {losses}")
    assert peak < 16
