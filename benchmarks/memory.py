"""The peak memory of a stage at the paper's resolution.

    python benchmarks/memory.py STAGE ENCODER [--batch-size N] [--recompute]

Two iterations on random images, or one image, with the networks, losses and optimisers of the stage; in a process of
its own, whose largest resident set is what is reported.
"""

import argparse
import resource
from pathlib import Path

import numpy as np
from measuring import random_images, report
from mxnet import nd

from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation import predict_labels
from gluon_madapt.models import SPACES
from gluon_madapt.proxy_maps.network_pass import Networks
from gluon_madapt.reproduction.iterations import training_iteration
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.stages import Run

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "base.yaml"
STAGES = ("source", "adversarial", "proxies", "retrain", "evaluation", "multi-scale")
# Of an image as it lies on disk, and as stage 3 sees it: (height, width).
FULL, TARGET = (1024, 2048), (512, 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("encoder", choices=("resnet101", "vgg16"))
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--recompute", action="store_true", help="compute the encoder's activations twice")
    options = parser.parse_args()
    settings = [f"model.encoder={options.encoder}", "model.weights=none", "devices=[cpu(0)]"]
    settings += [f"{stage}.recompute={options.recompute}".lower() for stage in TRAININGS]
    run = Run(load_experiment(CONFIG, settings))
    work(run, options.stage, options.batch_size)
    nd.waitall()
    report(peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def work(run, stage, batch_size):
    if stage in TRAININGS:
        iteration = training_iteration(run, stage, batch_size)
        for _ in range(2):
            iteration()
            nd.waitall()
        return
    net = new_segmenter(run)
    if stage == "proxies":
        networks = Networks(run, net, new_space(run, net, "features", SPACES["features"].cells(2)))
        for image in random_images(2, *TARGET):
            networks.maps(image, FULL)
    else:
        image = np.random.default_rng(0).integers(0, 256, (*FULL, 3)).astype(np.uint8)
        evaluation = run.experiment.evaluation
        if stage == "evaluation":
            net.compile_for_inference()
            predict_labels(net, image, run.context)
        else:
            net.hybridize()
            predict_labels(net, image, run.context, None, evaluation.scales, mirror=True)


if __name__ == "__main__":
    main()
