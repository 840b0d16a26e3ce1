"""Output-space alignment (Tsai et al., 2018) through stages 2 and 3: who learns from what, and what is kept of it."""

import shutil

import numpy as np
import pytest
from interrupted import interrupted_in_iteration_4
from mxnet import nd
from small_experiments import small_experiment

from gluon_madapt.files.json_files import read_log
from gluon_madapt.models import Discriminator
from gluon_madapt.models.output_space import OutputDiscriminator
from gluon_madapt.proxy_maps.network_pass import discriminators_in, load_networks
from gluon_madapt.run_layout import CHECKPOINT
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.checkpoint import read_checkpoint, stored_networks

OUTPUTS = "adversarial.align=outputs"


@pytest.fixture(scope="module")
def sourced(tiny_world, tmp_path_factory):
    """A run folder with stage 1 in it."""
    folder = tmp_path_factory.mktemp("outputs") / "run"
    train_source(Run(small_experiment(tiny_world, OUTPUTS, iterations=1), folder))
    return folder


@pytest.mark.parametrize("overrides", [(), ("adversarial.discriminators=1", "adversarial.output_stride=8")], ids=str)
def test_all_stages_run(sourced, tiny_world, tmp_path, overrides):
    folder = tmp_path / "run"
    shutil.copytree(sourced, folder)
    for stage in (train_adversarial, make_proxies, retrain):
        stage(Run(small_experiment(tiny_world, OUTPUTS, *overrides, iterations=1), folder))
    print(stored_networks(folder / "adversarial" / CHECKPOINT), read_log(folder / "adversarial" / "log.jsonl"))
