"""Loading a model without being told what it is."""

import shutil

import numpy as np
import pytest
from mxnet import nd
from small_experiments import run_stages, small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.labels import class_set
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.trained import load_any_segmenter, load_trained
from gluon_madapt.stages import Run, train_adversarial, train_source


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run_stages(tiny_world, folder, train_source, train_adversarial)
    return folder


def values(net):
    return {key: param.data().asnumpy() for key, param in net._collect_params_with_prefix().items()}


def test_a_checkpoint_says_what_it_is(finished, tiny_world):
    path = finished / "source" / "checkpoint.npz"
    model = load_trained(path)
    assert (model.short_side, model.scales) == (32, (0.7, 1.0, 1.3))
    assert model.classes.names == class_set(19).names
    np.testing.assert_array_equal(model.classes.palette, class_set(19).palette)
    assert (model.origin["encoder"], model.origin["stage"], model.origin["seed"]) == ("small", "source", 1)
    told = load_any_segmenter(Run(small_experiment(tiny_world), finished), path)[0]
    for key, value in values(told).items():
        np.testing.assert_array_equal(values(model.net)[key], value, err_msg=key)


def test_a_finished_network_and_a_folder_are_the_same_model(finished, tmp_path):
    model = load_trained(finished)
    assert model.origin["checkpoint"] == str(finished / "adversarial" / "checkpoint.npz")
    for other in (finished / "adversarial", finished / "adversarial" / "segmenter.params"):
        again = load_trained(other)
        assert (again.short_side, again.origin["stage"]) == (32, "adversarial")
        for key, value in values(model.net).items():
            np.testing.assert_array_equal(values(again.net)[key], value, err_msg=key)
    alone = tmp_path / "mine.params"
    shutil.copy(finished / "adversarial" / "segmenter.params", alone)
    assert load_trained(alone).origin["stage"] is None


def test_what_is_no_model_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint.npz, nor does a stage in it"):
        load_trained(tmp_path)
    (tmp_path / "text.npz").write_text("no model")
    with pytest.raises(UserError, match="text.npz: is no complete MXNet parameter file"):
        load_trained(tmp_path / "text.npz")
    nd.save(str(tmp_path / "other.params"), {"weight": nd.zeros((2, 2))})
    with pytest.raises(UserError, match="holds no segmenter"):
        load_trained(tmp_path / "other.params")
    net = Segmenter("small", 7)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    net.save_parameters(str(tmp_path / "seven.params"))
    with pytest.raises(UserError, match="does not say what its classes are"):
        load_trained(tmp_path / "seven.params")
