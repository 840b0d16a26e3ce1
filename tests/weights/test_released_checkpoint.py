"""A released parameter file is scored as it is, at Cityscapes' own size, multi-scale, within bounded memory."""

import json
import os
import re
import subprocess
import sys

import cv2
import mxnet as mx
import numpy as np
import pytest
from conftest import ROOT

from gluon_madapt.models import Segmenter

# Of the whole process, at any number of images; MXNet and its libraries take a quarter of a gibibyte by themselves.
MOST_GIB = 6


@pytest.fixture
def city(tmp_path):
    """One labelled image of 2048x1024 in the layout of Cityscapes."""
    rng = np.random.default_rng(0)
    name = "val/city/city_000000_000000_"
    image = cv2.resize(rng.integers(0, 256, (64, 128, 3), dtype=np.uint8), (2048, 1024))
    label = rng.integers(0, 34, (64, 128), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    for path, pixels in ((f"leftImg8bit/{name}leftImg8bit.png", image), (f"gtFine/{name}gtFine_labelIds.png", label)):
        (tmp_path / path).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / path), pixels)
    return tmp_path


def released(config, path):
    """Write a file of the experiment's network as the authors released theirs, with random weights."""
    encoder, classes = ("vgg16", 16) if "synthia" in config else ("resnet101", 19)
    net = Segmenter(encoder, classes)
    net.initialize(mx.init.Xavier())
    net(mx.nd.zeros((1, 3, 64, 64)))
    net.save_parameters(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("config", ["gta5_resnet101", "synthia_vgg16"])
def test_multi_scale_at_full_size_within_bounded_memory(city, config):
    released(config, city / "released.params")
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), "--config", str(ROOT / "configs" / f"{config}.yaml")]
    command += ["--set", f"data.val.root={city}", "--checkpoint", str(city / "released.params"), "--multi-scale"]
    process = subprocess.Popen([*command, "--out", str(city / "scores.json")], stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    scores = json.loads((city / "scores.json").read_text())
    assert scores["protocol"]["scales"] == [0.7, 1.0, 1.3]
    assert scores["protocol"]["short_side"] is None
    assert re.search(rf"\| mIoU +\| +{scores['miou']:.1f} \|", printed)
    peak = usage.ru_maxrss / 2**20
    print(f"\n{config}: peak memory {peak:.2f} GiB")
    assert peak < MOST_GIB
