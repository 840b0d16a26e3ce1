"""The networks against the same ones in PyTorch, ONNX Runtime and OpenVINO, and against themselves un-hybridized.

    python benchmarks/networks.py inference|training|adversarial resnet101|vgg16

Needs PyTorch (pip install torch==2.13.0).  Before anything is timed, the two sides are shown to return the same scores.
"""

import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from measuring import (
    CLASSES,
    compare,
    convolution_gflop,
    initialized,
    new_segmenter,
    peak_rate,
    random_images,
    random_labels,
    report,
)
from mxnet import nd
from torch.nn import functional
from torch_twin import Discriminator as TorchDiscriminator
from torch_twin import load_gluon
from torch_twin import segmenter as torch_segmenter

from gluon_madapt import precision
from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation import predict_probabilities
from gluon_madapt.export.onnx_file import write_onnx
from gluon_madapt.labels import class_set
from gluon_madapt.models import SPACES
from gluon_madapt.models.fusion import FEATURE_CHANNELS
from gluon_madapt.precision import BFLOAT16, FLOAT32, has_bfloat16
from gluon_madapt.prediction.runtimes import OnnxRuntime, OpenVino
from gluon_madapt.runs.trained import TrainedModel
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.supervised import SupervisedStep
from gluon_madapt.training.checkpoint import parameter_values
from gluon_madapt.training.distributed import Part
from gluon_madapt.upsampling import probability_blocks

HEIGHT, WIDTH = 512, 1024
# The paper's stage 2: source 1280x720, target 1024x512.
SOURCE = (720, 1280)
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "base.yaml"
# Of the sides of a training step.
PAIRS = {"to PyTorch": ("ours", "PyTorch"), "recomputed, to kept": ("ours, recomputed", "ours")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("inference", "training", "adversarial"))
    parser.add_argument("encoder", choices=("resnet101", "vgg16"))
    options = parser.parse_args()
    {"inference": inference, "training": training, "adversarial": adversarial}[options.what](options.encoder)


def inference(encoder):
    """Compare from an image to class probabilities at its size; the exported file normalises it, too."""
    images = random_images(1, HEIGHT, WIDTH)
    imperative, compiled, half = (new_segmenter(encoder) for _ in range(3))
    compiled.compile_for_inference()
    twin = new_twin(encoder, imperative).eval()
    half_twin = copy.deepcopy(twin).to(torch.bfloat16)
    ours, theirs = nd.array(images), channels_last(images)
    half_theirs = theirs.to(torch.bfloat16)
    difference = largest_difference(imperative(ours), twin(theirs))

    def torch_inference(net, seen):
        with torch.inference_mode():
            torch.softmax(net(seen)[0], dim=1)

    def our_inference(net):
        predict_probabilities(net, ours, scales=(1.0,), mirror=False).wait_to_read()

    def exported_inference(runtime, of):
        for _ in probability_blocks(runtime.scores(pixels, of), HEIGHT, WIDTH):
            pass

    sides = {
        "PyTorch": lambda: torch_inference(twin, theirs),
        "ours, imperative": lambda: our_inference(imperative),
        "ours": lambda: our_inference(compiled),
    }
    pairs = {"to PyTorch": ("ours", "PyTorch"), "to imperative": ("ours", "ours, imperative")}
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = exported(imperative, Path(folder) / "model.onnx")
        onnx_runtime, openvino = OnnxRuntime(path), OpenVino(path)
        sides["ONNX Runtime"] = lambda: exported_inference(onnx_runtime, FLOAT32)
        sides["OpenVINO"] = lambda: exported_inference(openvino, FLOAT32)
        pairs.update({f"to {one}": ("ours", one) for one in ("ONNX Runtime", "OpenVINO")})
        if has_bfloat16():
            precision.AGREEMENT = 0  # scores of random weights are so near one another that labels change
            half.compile_for_inference(BFLOAT16)
            sides["PyTorch, bfloat16"] = lambda: torch_inference(half_twin, half_theirs)
            sides["ours, bfloat16"] = lambda: our_inference(half)
            sides["OpenVINO, bfloat16"] = lambda: exported_inference(openvino, BFLOAT16)
            pairs["bfloat16, to PyTorch"] = ("ours, bfloat16", "PyTorch, bfloat16")
            pairs["bfloat16, to float32"] = ("ours, bfloat16", "ours")
        times = compare(sides, pairs)
    finish(times, difference, convolution_gflop(compiled, HEIGHT, WIDTH))


def exported(net, path):
    """Write a network as an ONNX file."""
    origin = dict.fromkeys(("stage", "iteration", "seed", "code"), None)
    origin.update(encoder=net.encoder_name, checkpoint_sha256="0")
    write_onnx(TrainedModel(net, class_set(CLASSES), None, (1.0,), origin), HEIGHT, WIDTH, path)
    return path


def training(encoder):
    settings = load_experiment(CONFIG).source
    images, labels = random_images(1, HEIGHT, WIDTH), random_labels(1, HEIGHT, WIDTH)
    net = new_segmenter(encoder)
    twin = new_twin(encoder, net)
    difference = largest_difference(net(nd.array(images)), twin.eval()(channels_last(images)))
    twin.train()
    step, again = (SupervisedStep(net, settings.model_copy(update={"recompute": twice})) for twice in (False, True))
    parts = [Part(nd.array(images), nd.array(labels))]

    def our_step(step):
        step(parts, settings.learning_rate)
        nd.waitall()

    theirs, their_labels = channels_last(images), torch.from_numpy(labels).long()
    optimizer = torch_sgd(twin, settings)

    def their_step():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(twin(theirs)[0], their_labels, ignore_index=255).backward()
        optimizer.step()

    times = compare(_sides(their_step, our_step, step, again), PAIRS)
    # Backward computes a convolution's gradient by its input and by its weights.
    finish(times, difference, 3 * convolution_gflop(net, HEIGHT, WIDTH))


def adversarial(encoder):
    settings = load_experiment(CONFIG, ["adversarial.batch_size=1"]).adversarial
    images, labels = random_images(1, *SOURCE), random_labels(1, *SOURCE)
    targets = random_images(1, HEIGHT, WIDTH)
    net = new_segmenter(encoder)
    twin = new_twin(encoder, net)
    difference = largest_difference(net(nd.array(targets)), twin.eval()(channels_last(targets)))
    twin.train()
    channels = {"D1": FEATURE_CHANNELS, "D2": net.mid_channels}
    cells, twins = SPACES["features"].cells(2), {}
    space = SPACES["features"](net, cells)
    for name, discriminator in space.discriminators.items():
        initialized(discriminator)
        twin_of_d = TorchDiscriminator(channels[name], cells[name].halvings)
        twins[name] = load_gluon(twin_of_d, parameter_values(discriminator))
        twins[name].to(memory_format=torch.channels_last)
    step, again = (
        AdversarialStep(net, space, settings.model_copy(update={"recompute": twice})) for twice in (False, True)
    )
    parts = [(Part(nd.array(images), nd.array(labels)), Part(nd.array(targets)))]

    def our_step(step):
        step(parts)
        nd.waitall()

    source, their_labels, target = channels_last(images), torch.from_numpy(labels).long(), channels_last(targets)
    optimizer = torch_sgd(twin, settings)
    rate = settings.discriminator_learning_rate
    adams = {name: torch.optim.Adam(one.parameters(), lr=rate) for name, one in twins.items()}
    weights = {"D1": settings.lambda_1, "D2": settings.lambda_2}

    def likelihood(logits, domain):
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, domain))

    def their_step():
        optimizer.zero_grad(set_to_none=True)
        for one in twins.values():
            one.requires_grad_(False)
        scores, *source_maps = twin(source)
        functional.cross_entropy(scores, their_labels, ignore_index=255).backward()
        target_maps = twin.extract(target)
        sum(weights[n] * likelihood(one(seen), 1.0) for (n, one), seen in zip(twins.items(), target_maps)).backward()
        optimizer.step()
        for (name, one), seen, other in zip(twins.items(), source_maps, target_maps):
            one.requires_grad_(True)
            adams[name].zero_grad(set_to_none=True)
            (likelihood(one(seen.detach()), 1.0) + likelihood(one(other.detach()), 0.0)).backward()
            adams[name].step()

    times = compare(_sides(their_step, our_step, step, again), PAIRS)
    gflop = sum(convolution_gflop(net, *size) for size in (SOURCE, (HEIGHT, WIDTH)))
    finish(times, difference, 3 * gflop)


def _sides(their_step, our_step, kept, recomputed):
    return {
        "PyTorch": their_step,
        "ours": lambda: our_step(kept),
        "ours, recomputed": lambda: our_step(recomputed),
    }


def finish(times, difference, gflop):
    """Report the times, the agreement of the two sides, and what share of the machine's peak ours reach."""
    peak = peak_rate()
    rate = gflop / times["seconds"]["ours"]
    report(**times, difference=difference, gflop=gflop, peak_gflop_per_second=peak, share_of_peak=rate / peak)


def new_twin(encoder, net):
    twin = load_gluon(torch_segmenter(encoder, CLASSES), parameter_values(net))
    return twin.to(memory_format=torch.channels_last)


def torch_sgd(module, settings):
    options = {"momentum": settings.momentum, "weight_decay": settings.weight_decay}
    return torch.optim.SGD(module.parameters(), lr=settings.learning_rate, **options)


def channels_last(images):
    return torch.from_numpy(images).contiguous(memory_format=torch.channels_last)


def largest_difference(ours, theirs):
    """Return the largest difference of the scores, as a share of their range."""
    expected = theirs[0].detach().numpy()
    return float(np.abs(ours[0].asnumpy() - expected).max() / np.ptp(expected))


if __name__ == "__main__":
    main()
