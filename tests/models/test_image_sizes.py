"""What sizes of images the networks take, and what is said of others before the networks see them."""

import shutil

import numpy as np
import pytest
from mxnet import nd, sym
from mxnet.base import MXNetError
from small_experiments import small_experiment

from gluon_madapt.config import Input
from gluon_madapt.data.image_files import write_png
from gluon_madapt.doctor import ERROR, examine
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation import evaluate
from gluon_madapt.evaluation.protocol import score_stage, scorer_along_the_way
from gluon_madapt.models import SPACES, Discriminator, Segmenter
from gluon_madapt.models.image_sizes import least_side, refuse_size
from gluon_madapt.reproduction.iterations import training_iteration
from gluon_madapt.runs.datasets import refuse_sizes
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source

OWN = "{size: null, short_side: null, crop: null}"
CELLS = SPACES["features"].cells
DISCRIMINATORS = [CELLS(number, stride) for number, stride in ((0, 32), (1, 32), (2, 32), (2, 16), (2, 8), (1, 4))]


@pytest.fixture(scope="module", params=["small", "resnet101", "vgg16"])
def graphs(request):
    """An encoder, and for each choice of discriminators the graph of all of them over an image."""
    net = Segmenter(request.param, 3)
    feature, mid = net.extract_features(sym.var("image"))
    outputs = {"D1": feature, "D2": mid}
    channels = {"D1": 128, "D2": net.mid_channels}
    whole = net.classifier(feature)

    def graph(halved):
        scores = [Discriminator(channels[name], one.halvings)(outputs[name]) for name, one in halved.items()]
        return sym.Group([whole, *scores])

    return request.param, graph


def takes(graph, height, width):
    try:
        graph.infer_shape(image=(1, 3, height, width))
    except MXNetError:
        return False
    return True


@pytest.mark.parametrize("halved", DISCRIMINATORS, ids=str)
def test_the_networks_take_what_is_not_refused_and_nothing_else(graphs, halved):
    encoder, graph_of = graphs
    graph = graph_of(halved)
    for side in range(1, 65):
        for width, height in ((side, 64), (64, side), (side, side)):
            taken = takes(graph, height, width)
            assert taken == (min(width, height) >= least_side(encoder, halved)), (width, height)
            if taken:
                refuse_size((width, height), (width, height), encoder, halved)
            else:
                with pytest.raises(UserError, match=f"^{width}x{height} pixels are too small: {encoder}"):
                    refuse_size((width, height), (width, height), encoder, halved)


def test_the_networks_compute_at_the_least_size():
    """What MXNet infers is what it does."""
    net, d1 = Segmenter("small", 3), Discriminator(128, CELLS(1)["D1"].halvings)
    net.initialize()
    d1.initialize()
    for side, taken in ((28, False), (29, True)):
        _, feature, _ = net(nd.zeros((1, 3, side, 40)))
        if taken:
            assert d1(feature).shape == (1, 1, 1, 1)
        else:
            with pytest.raises(MXNetError):
                d1(feature).wait_to_read()


def folder_of(path, *sizes):
    for place, (width, height) in enumerate(sizes):
        pixels = np.random.default_rng(place).integers(0, 256, (height, width, 3), dtype=np.uint8)
        write_png(path / f"{place}.png", pixels)
    return path


def target_of(folder):
    return f"data.target={{dataset: folder, root: '{folder}'}}"


# Of images of 64x40 and 20x64; what is refused and what not, with how many discriminators.
@pytest.mark.parametrize(
    "settings, discriminators, refused",
    [
        (Input(), 0, None),
        (Input(), 1, "1.png: 20x64 pixels are too small: small with D1 halves .* 29 or more and would be 20:"),
        (Input(), 2, "1.png: 20x64 .* small with D1 and D2 .* would be 20: give a size or a short side of 29 or more"),
        (Input(crop=(32, 32), scale=(0.1, 1.0)), 2, None),
        (Input(size=(64, 32)), 2, None),
        (Input(size=(64, 32), scale=(0.1, 1.0)), 2, "0.png: 64x40 .* would be 3: give a size .* of 286 or more"),
        (Input(short_side=32), 2, None),
        (Input(short_side=32, scale=(0.5, 2.0)), 1, "0.png: 64x40 .* would be 16: .* 58 or more"),
        (Input(scale=(2.0, 3.0)), 2, None),
        (Input(short_side=65536), 0, "0.png: 64x40 .* too many, or in too long a row: .* 104858x65536"),
    ],
    ids=str,
)
def test_what_a_training_refuses(tmp_path, tiny_world, settings, discriminators, refused):
    folder_of(tmp_path / "images", (64, 40), (20, 64))
    dataset = Run(small_experiment(tiny_world, target_of(tmp_path / "images")), tmp_path).dataset("target", False)
    if refused:
        with pytest.raises(UserError, match=f"{tmp_path}/images/{refused}"):
            refuse_sizes(dataset, settings, "small", CELLS(discriminators))
    else:
        refuse_sizes(dataset, settings, "small", CELLS(discriminators))


def test_a_thin_image_that_its_short_side_makes_long_is_refused(tmp_path, tiny_world):
    folder_of(tmp_path / "images", (4000, 8))
    dataset = Run(small_experiment(tiny_world, target_of(tmp_path / "images")), tmp_path).dataset("target", False)
    with pytest.raises(UserError, match=r"0\.png: 4000x8 pixels are too many, .* 256000x512 "):
        refuse_sizes(dataset, Input(short_side=512), "small")
    refuse_sizes(dataset, Input(short_side=32), "small")


def test_an_image_that_cannot_be_read_is_left_to_who_reads_it(tmp_path, tiny_world):
    folder_of(tmp_path / "images", (64, 40))
    (tmp_path / "images" / "1.png").write_bytes(b"no image")
    dataset = Run(small_experiment(tiny_world, target_of(tmp_path / "images")), tmp_path).dataset("target", False)
    refuse_sizes(dataset, Input(), "small", CELLS(2))


@pytest.mark.parametrize("side", [1, 16, 28, 29])
def test_stage_2_and_3_on_target_images_of_their_own_size(tiny_world, copied, tmp_path, side):
    folder_of(tmp_path / "images", (64, side))
    tiny = target_of(tmp_path / "images")
    proxies = Run(small_experiment(tiny_world, tiny, "proxies.size=null", iterations=1), copied)
    settings = (tiny, f"adversarial.target_input={OWN}", "adversarial.batch_size=1")
    again = Run(small_experiment(tiny_world, *settings, iterations=1), copied, fresh=True)
    if side < 29:
        for stage, run in ((make_proxies, proxies), (train_adversarial, again)):
            with pytest.raises(UserError, match=rf"0\.png: 64x{side} pixels are too small: small with D1 and D2"):
                stage(run)
        assert not (copied / "cache").exists()
    else:
        make_proxies(proxies)
        train_adversarial(again)


def test_a_random_scale_below_what_the_networks_take_is_refused_before_stage_2_begins(tiny_world, copied):
    scaled = "{size: [64, 32], short_side: null, crop: null, scale: [0.1, 1.0]}"
    settings = (f"adversarial.target_input={scaled}", "adversarial.batch_size=1")
    shutil.rmtree(copied / "adversarial")
    with pytest.raises(UserError, match=r"\.png: .* would be 3: give a size or a short side of 286 or more"):
        train_adversarial(Run(small_experiment(tiny_world, *settings), copied))
    assert not (copied / "adversarial" / "inputs.json").exists()


@pytest.mark.parametrize("side", [1, 2, 31])
def test_stage_1_learns_from_images_of_any_size(tiny_world, tmp_path, side):
    """Of those that a residual network takes, which is all."""
    scaled = f"{{size: [64, 32], crop: null, short_side: null, scale: [{side / 32}, {side / 32}]}}"
    train_source(Run(small_experiment(tiny_world, f"source.input={scaled}", iterations=2), tmp_path / "run"))


VGG = ("model={encoder: vgg16, weights: none}", "evaluation.short_side={source: null, adversarial: 32, retrain: null}")


def test_a_split_with_an_image_that_the_encoder_does_not_take_is_not_scored(tiny_world, tmp_path):
    shutil.copytree(tiny_world, tmp_path / "world")
    image = sorted((tmp_path / "world").glob("cityscapes/leftImg8bit/val/*/*.png"))[-1]
    label = sorted((tmp_path / "world").glob("cityscapes/gtFine/val/*/*_labelIds.png"))[-1]
    write_png(image, np.zeros((31, 40, 3), np.uint8))
    write_png(label, np.full((31, 40), 7, np.uint8))
    run = Run(small_experiment(tmp_path / "world", *VGG, "bookkeeping.eval_every=1"), tmp_path / "run")
    expected = f"{image}: 40x31 pixels are too small: vgg16 halves .* 32 or more and would be 31"
    for stage in ("source", "retrain"):
        with pytest.raises(UserError, match=expected):
            scorer_along_the_way(run, stage)
        with pytest.raises(UserError, match=expected):
            score_stage(run, None, stage, multi_scale=False)
    assert scorer_along_the_way(run, "adversarial")
    with pytest.raises(UserError, match=r"would be 22: give a size or a short side of 46"):
        score_stage(run, None, "adversarial", multi_scale=True)


def test_an_evaluation_names_the_image(tiny_world, tmp_path):
    """Whatever was looked at before: a file may be replaced meanwhile."""
    run = Run(small_experiment(tiny_world, *VGG), tmp_path)
    folder_of(tmp_path / "images", (40, 31))
    dataset = run.dataset("val", labelled=True)
    dataset.samples = [dataset.samples[0]._replace(image=tmp_path / "images" / "0.png")]
    net = new_segmenter(Run(small_experiment(tiny_world), tmp_path))
    net.encoder_name = "vgg16"
    with pytest.raises(UserError, match=r"images/0\.png: 40x31 pixels are too small"):
        evaluate(net, dataset, 19, run.context)


def test_the_doctor_and_the_estimate_find_it_too(tiny_world, tmp_path):
    folder_of(tmp_path / "images", (16, 16))
    settings = (target_of(tmp_path / "images"), f"adversarial.target_input={OWN}", "adversarial.batch_size=1")
    run = Run(small_experiment(tiny_world, *settings), tmp_path / "run")
    found = [one for one in examine(run) if one.what == "training"]
    assert [one.level for one in found] == [ERROR]
    assert "0.png: 16x16 pixels are too small: small with D1 and D2" in found[0].text
    with pytest.raises(UserError, match="16x16 pixels are too small"):
        training_iteration(run, "adversarial", 1)
