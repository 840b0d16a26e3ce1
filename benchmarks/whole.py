"""What a user waits for: python benchmarks/whole.py {scoring,commands}.

scoring: whole evaluations of labelled images on disk and whole predictions of a video, against the same passes of the
network alone; and one 2048x1024 image in six passes.  commands: `tools/predict.py` over 50 images, by MXNet in float32
and by OpenVINO in bfloat16; every tool's --help, and an import.  All of ResNet101.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import CLASSES, compare, new_segmenter, random_images, report
from mxnet import autograd, cpu, nd
from networks import exported
from waiting import label, picture, write

from gluon_madapt.config import load_experiment
from gluon_madapt.data import label_map_of, open_dataset
from gluon_madapt.evaluation import evaluate, predict_labels
from gluon_madapt.precision import has_bfloat16
from gluon_madapt.prediction import Predictor
from gluon_madapt.prediction.batch import predict_all
from gluon_madapt.prediction.inputs import find_sources
from gluon_madapt.prediction.outputs import Outputs, Wanted
from gluon_madapt.prediction.video import video_writer

ROOT = Path(__file__).resolve().parent.parent
TOOLS, CONFIG = ROOT / "tools", ROOT / "configs" / "base.yaml"
SCALES = (0.7, 1.0, 1.3)  # and mirrored: the paper's six passes
HEIGHT, WIDTH = 512, 1024
SCORED, SCORED_BY_SIX, FRAMES, PREDICTED = 8, 2, 16, 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scoring", "commands"))
    with tempfile.TemporaryDirectory() as folder:
        {"scoring": scoring, "commands": commands}[parser.parse_args().what](Path(folder))


def scoring(folder):
    net = trained_like()
    single, six = write_scored(folder / "single", SCORED), write_scored(folder / "six", SCORED_BY_SIX)
    film = write_film(folder / "film.mp4")
    seen = nd.array(random_images(1, HEIGHT, WIDTH))
    net.save_parameters(str(folder / "net.params"))
    predictor = Predictor.load(folder / "net.params", device="cpu(0)")
    full = np.random.default_rng(0).integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3)).astype(np.uint8)

    def network(number):
        for _ in range(number):
            with autograd.predict_mode():
                net.quarter(seen)[0].wait_to_read()

    def prediction():
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        outputs = Outputs(out, predictor, Wanted(pictures=False))
        with outputs.folder:
            predict_all(predictor, find_sources([film]), outputs)

    net.compile_for_inference()
    sides = {
        "network, one pass": lambda: network(SCORED),
        "evaluation, one pass": lambda: evaluate(net, single, CLASSES, cpu(0)),
        "network, video": lambda: network(FRAMES),
        "prediction of a video": prediction,
    }
    pairs = {
        "evaluation, to the network": ("evaluation, one pass", "network, one pass"),
        "video, to the network": ("prediction of a video", "network, video"),
    }
    times = compare(sides, pairs)
    net.compile_for_inference(sizes=len(SCALES))
    images = [nd.array(random_images(1, *(round(side * scale) for side in (HEIGHT, WIDTH)))) for scale in SCALES]

    def six_passes():
        for image in images * 2 * SCORED_BY_SIX:
            with autograd.predict_mode():
                net.quarter(image)[0].wait_to_read()

    how = {"scales": SCALES, "mirror": True}
    sides = {
        "network, six passes": six_passes,
        "evaluation, six passes": lambda: evaluate(net, six, CLASSES, cpu(0), **how),
        "2048x1024, six passes": lambda: predict_labels(net, full, cpu(0), **how),
    }
    of_six = compare(sides, {"six passes, to the network": ("evaluation, six passes", "network, six passes")}, 3)
    report(**{kind: {**times[kind], **of_six[kind]} for kind in ("seconds", "ratios")})


def commands(folder):
    net = trained_like()
    net.save_parameters(str(folder / "net.params"))
    rng = np.random.default_rng(0)
    for number in range(PREDICTED):
        write(folder / "images" / f"{number}.png", picture(rng, WIDTH, HEIGHT))
    models = {"MXNet, float32": (folder / "net.params", "float32")}
    pairs = {}
    if has_bfloat16():
        models["OpenVINO, bfloat16"] = (exported(net, folder / "net.onnx"), "bfloat16")
        pairs["predict.py, OpenVINO in bfloat16 to MXNet"] = ("OpenVINO, bfloat16", "MXNet, float32")

    def predict(model, precision):
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        options = ("--out", out, "--precision", precision, "--device", "cpu(0)", "--no-pictures")
        tool("predict.py", "--checkpoint", model, *options, folder / "images")

    sides = {name: lambda how=how: predict(*how) for name, how in models.items()}
    times = compare(sides, pairs, repeats=3)
    helps = {path.name: seconds_of(lambda path=path: tool(path.name, "--help")) for path in TOOLS.glob("[a-z]*.py")}
    slowest = max(helps, key=helps.get)
    imported = seconds_of(lambda: run("-c", "import gluon_madapt.models"))
    report(**times, starts={f"`tools/{slowest} --help`": helps[slowest], "`import gluon_madapt.models`": imported})


def trained_like():
    """Return a network whose labels all precisions agree on, as on those of a trained one: one class scores highest."""
    net = new_segmenter("resnet101")
    for branch in net.classifier._children.values():
        branch.weight.set_data(nd.zeros(branch.weight.shape))
        branch.bias.set_data(nd.arange(CLASSES))
    return net


def write_scored(root, number):
    """Write labelled images in the layout of Cityscapes; return their data set."""
    rng = np.random.default_rng(0)
    for index in range(number):
        name = f"a_{index:06d}_000019"
        write(root / f"leftImg8bit/val/a/{name}_leftImg8bit.png", picture(rng, WIDTH, HEIGHT))
        write(root / f"gtFine/val/a/{name}_gtFine_labelIds.png", label(rng, WIDTH, HEIGHT))
    experiment = load_experiment(CONFIG, [f"data.val.root={root}"])
    return open_dataset(experiment.data.val, label_map_of(experiment, "val"))


def write_film(path):
    rng = np.random.default_rng(0)
    with video_writer(path, 25) as add:
        for _ in range(FRAMES):
            add(picture(rng, WIDTH, HEIGHT))
    return path


def tool(name, *arguments):
    run(TOOLS / name, *arguments)


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *map(str, arguments)], env=environment, check=True, stdout=subprocess.DEVNULL)


def seconds_of(work, repeats=5):
    """Return the median of the seconds of some work, after one time that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
