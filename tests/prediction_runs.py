"""A trained model, images, and predictions of them, that tests share."""

import mxnet as mx
import numpy as np
import pytest
from broken_images import encoded, picture
from PIL import Image
from small_experiments import run_stages

from gluon_madapt.models import Segmenter
from gluon_madapt.prediction import Predictor
from gluon_madapt.prediction.batch import predict_all
from gluon_madapt.prediction.inputs import find_sources
from gluon_madapt.prediction.mxnet_model import MXNetModel
from gluon_madapt.prediction.outputs import Outputs, Wanted
from gluon_madapt.runs.networks import initialize_segmenter
from gluon_madapt.runs.trained import TrainedModel
from gluon_madapt.stages import make_proxies, retrain, train_adversarial, train_source


@pytest.fixture(scope="session")
def four_stages(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("four_stages")
    run_stages(tiny_world, folder, train_source, train_adversarial, make_proxies, retrain)
    return folder


@pytest.fixture(scope="session")
def model(four_stages):
    return Predictor.load(four_stages)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "in"
    for place, name in enumerate(("a.png", "below/b.png", "below/c.png")):
        put(folder / name, encoded(picture(seed=place)))
    return folder


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.symlink_to(path.with_name("nothing"))
    else:
        path.write_bytes(content)
    return path


def predict(model, out, *inputs, fresh=False, **wanted):
    outputs = Outputs(out, model, Wanted(**wanted), fresh)
    with outputs.folder:
        return predict_all(model, find_sources(map(str, inputs)), outputs)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def random_model(classes, encoder="small"):
    net = Segmenter(encoder, len(classes))
    initialize_segmenter(net, [mx.cpu()])
    origin = {"checkpoint": "random", "checkpoint_sha256": "0", "encoder": encoder}
    return Predictor(MXNetModel(TrainedModel(net, classes, None, (0.7, 1.0, 1.3), origin), mx.cpu()))
