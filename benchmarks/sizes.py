"""Throughput against the size of the input: python benchmarks/sizes.py ENCODER."""

import argparse
import functools
from pathlib import Path

from measuring import compare, new_segmenter, random_images, random_labels, report, wait
from mxnet import nd

from gluon_madapt.config import load_experiment
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.distributed import Part

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "base.yaml"
SIZES = ((128, 256), (256, 512), (512, 1024), (1024, 2048))
REPEATS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", choices=("resnet101", "vgg16"))
    encoder = parser.parse_args().encoder
    settings = load_experiment(CONFIG).source
    rates = {}
    for height, width in SIZES:
        net = new_segmenter(encoder)
        images, labels = nd.array(random_images(1, height, width)), nd.array(random_labels(1, height, width))
        step = SupervisedStep(net, settings)
        part = Part(images, labels)
        net.compile_for_inference()
        inference = compare({"inference": functools.partial(infer, net, images)}, {}, REPEATS)
        training = compare({"training": functools.partial(train, step, part, settings.learning_rate)}, {}, REPEATS)
        seconds = {**inference["seconds"], **training["seconds"]}
        rates[f"{width}x{height}"] = {name: 1 / value for name, value in seconds.items()}
    report(images_per_second=rates)


def infer(net, images):
    wait(net.quarter(images))


def train(step, part, rate):
    step([part], rate)
    nd.waitall()


if __name__ == "__main__":
    main()
