"""Run a network on images of one size, then of many smaller ones; print the growth of the resident memory, in MB."""

import os
import sys
from pathlib import Path

import numpy as np
from conftest import ROOT
from mxnet import nd

from gluon_madapt import precision
from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation import predict_labels
from gluon_madapt.models import Segmenter
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.distributed import Part

LARGEST = 192
precision.AGREEMENT = 0  # that of a network that has learned nothing is no matter


def resident():
    """Return the resident memory, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def new_network():
    net = Segmenter("small", 19)
    net.initialize()
    net(nd.zeros((1, 3, 64, 64)))
    return net


def predicting(multi_scale, of="float32"):
    net = new_network()
    scales = (0.7, 1.0, 1.3) if multi_scale else (1.0,)
    net.compile_for_inference(of, len(scales))
    return lambda image: predict_labels(net, image, nd.zeros(1).context, None, scales, multi_scale)


def training():
    step = SupervisedStep(new_network(), load_experiment(ROOT / "configs" / "base.yaml").source)

    def train(image):
        images = nd.array(image.transpose(2, 0, 1)[None])
        step([Part(images, nd.zeros((1, *image.shape[:2])))], 1e-6)
        nd.waitall()

    return train


def main(what, number):
    action = {
        "prediction": lambda: predicting(False),
        "bfloat16": lambda: predicting(False, "bfloat16"),
        "multi-scale": lambda: predicting(True),
        "training": training,
    }
    take = action[what]()
    rng = np.random.default_rng(0)
    for _ in range(3):
        take(rng.integers(0, 256, (LARGEST, LARGEST, 3), dtype=np.uint8))
    before = resident()
    for height, width in rng.integers(48, LARGEST, (number, 2)):
        take(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    print(round(resident() - before))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
