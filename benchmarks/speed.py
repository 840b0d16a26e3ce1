"""The networks against the same ones in PyTorch, and against themselves un-hybridized: ratios of times in one run.

    python benchmarks/speed.py inference resnet101     python benchmarks/speed.py training resnet101
    python benchmarks/speed.py inference vgg16         python benchmarks/speed.py training vgg16
    python benchmarks/speed.py adversarial resnet101   python benchmarks/speed.py host

Each figure is the median of --repeats runs, the two sides taking turns on the same cores.  All but "host" need PyTorch
(pip install torch==2.13.0); before anything is timed, the two networks are shown to return the same scores.
"""

import argparse
import io
import json
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import gluon_madapt.models  # noqa: F401 - GluonCV then imports where there is PyTorch, too
from gluon_madapt.config import Input, load_experiment
from gluon_madapt.data.transforms import MEAN, STD, normalize, transform
from gluon_madapt.evaluation import ConfusionMatrix
from gluon_madapt.models import HALVINGS, Discriminator, Segmenter
from gluon_madapt.models.fusion import FEATURE_CHANNELS
from gluon_madapt.models.objectives import SupervisedPass
from gluon_madapt.stages.adversarial import AdversarialStep
from gluon_madapt.stages.checkpoint import parameter_values
from gluon_madapt.stages.loop import segmenter_trainer

HEIGHT, WIDTH, CLASSES = 512, 1024, 19
# The paper's stage 2: source 1280x720, target 1024x512.
SOURCE = (720, 1280)
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "base.yaml"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("inference", "training", "adversarial", "host"))
    parser.add_argument("encoder", nargs="?", choices=("resnet101", "vgg16"), default="resnet101")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measures = {"inference": inference, "training": training, "adversarial": adversarial, "host": host}
    sides, pairs, facts = measures[options.what](options.encoder)
    print(json.dumps(dict(compare(sides, pairs, options.repeats), **facts), indent=2))


def compare(sides, pairs, repeats):
    """Run all sides in turn; return the medians of their seconds, and those of the ratios of pairs of them."""
    for side in sides.values():
        side()
        side()  # the first compiles, the second may still lay out weights
    seconds = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - began)
        print({name: round(values[-1], 4) for name, values in seconds.items()}, file=sys.stderr, flush=True)
    ratios = {f"{a} / {b}": statistics.median(x / y for x, y in zip(seconds[a], seconds[b])) for a, b in pairs}
    return {"seconds": {name: statistics.median(values) for name, values in seconds.items()}, "ratios": ratios}


def inference(encoder):
    import torch  # noqa: PLC0415 - optional
    from mxnet import nd  # noqa: PLC0415 - imports once gluon_madapt has been

    images = random_images(1, HEIGHT, WIDTH)
    imperative, compiled = new_segmenter(encoder), new_segmenter(encoder)
    compiled.hybridize(static_alloc=True, static_shape=True)
    twin = new_twin(encoder, imperative).eval()
    ours, theirs = nd.array(images), channels_last(images)
    difference = largest_difference(imperative(ours), twin(theirs))

    def torch_inference():
        with torch.inference_mode():
            twin(theirs)

    sides = {
        "PyTorch": torch_inference,
        "ours, imperative": lambda: wait(imperative(ours)),
        "ours": lambda: wait(compiled(ours)),
    }
    pairs = [("ours", "PyTorch"), ("ours", "ours, imperative")]
    return sides, pairs, {"largest difference of the scores, of their range": difference, **peak_rate()}


def training(encoder):
    import torch  # noqa: PLC0415 - optional
    from mxnet import autograd, nd  # noqa: PLC0415 - imports once gluon_madapt has been
    from torch.nn import functional  # noqa: PLC0415

    settings = load_experiment(CONFIG).source
    images, labels = random_images(1, HEIGHT, WIDTH), random_labels(1, HEIGHT, WIDTH)
    net = new_segmenter(encoder)
    twin = new_twin(encoder, net).train()
    difference = largest_difference(net(nd.array(images)), twin.eval()(channels_last(images)))
    twin.train()
    supervised = SupervisedPass(net)
    supervised.hybridize(static_alloc=True, static_shape=True)
    trainer = segmenter_trainer(net, settings)
    ours, our_labels = nd.array(images), nd.array(labels)

    def our_step():
        with autograd.record():
            loss, _, _ = supervised(ours, our_labels)
        loss.backward()
        trainer.step(1)
        nd.waitall()

    theirs, their_labels = channels_last(images), torch.from_numpy(labels).long()
    optimizer = torch_sgd(twin, settings)

    def their_step():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(twin(theirs)[0], their_labels, ignore_index=255).backward()
        optimizer.step()

    facts = {"largest difference of the scores, of their range": difference}
    return {"PyTorch": their_step, "ours": our_step}, [("ours", "PyTorch")], facts


def adversarial(encoder):
    import torch  # noqa: PLC0415 - optional
    from mxnet import nd  # noqa: PLC0415 - imports once gluon_madapt has been
    from torch.nn import functional  # noqa: PLC0415
    from torch_twin import Discriminator as TorchDiscriminator  # noqa: PLC0415
    from torch_twin import load_gluon  # noqa: PLC0415

    settings = load_experiment(CONFIG, ["adversarial.batch_size=1"]).adversarial
    images, labels = random_images(1, *SOURCE), random_labels(1, *SOURCE)
    targets = random_images(1, HEIGHT, WIDTH)
    net = new_segmenter(encoder)
    twin = new_twin(encoder, net).train()
    channels = {"D1": FEATURE_CHANNELS, "D2": net.mid_channels}
    discriminators, twins = {}, {}
    for name, number in channels.items():
        discriminators[name] = initialized(Discriminator(number, HALVINGS[name]))
        twins[name] = load_gluon(TorchDiscriminator(number, HALVINGS[name]), parameter_values(discriminators[name]))
        twins[name].to(memory_format=torch.channels_last)
    step = AdversarialStep(net, discriminators, settings)
    ours = [nd.array(one) for one in (images, labels, targets)]

    def our_step():
        step(*ours)
        nd.waitall()

    source, their_labels, target = channels_last(images), torch.from_numpy(labels).long(), channels_last(targets)
    optimizer = torch_sgd(twin, settings)
    adams = {
        name: torch.optim.Adam(one.parameters(), lr=settings.discriminator_learning_rate) for name, one in twins.items()
    }
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

    return {"PyTorch": their_step, "ours": our_step}, [("ours", "PyTorch")], {}


def host(encoder):
    """Time what the CPU does beside the network: the confusion matrix, and the preparation of a sample."""
    rng = np.random.default_rng(0)
    label, prediction = (rng.integers(0, CLASSES, (1024, 2048)).astype(np.uint8) for _ in range(2))
    label[rng.random(label.shape) < 0.1] = 255

    def usual_matrix():
        known = label < CLASSES
        pairs = CLASSES * label[known].astype(int) + prediction[known]
        np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)

    small = rng.integers(0, 256, (66, 120, 3)).astype(np.uint8)
    encoded = cv2.imencode(".png", cv2.resize(small, (1914, 1052)))[1].tobytes()
    settings = Input(short_side=720, crop=(1280, 720), mirror=True)

    def ours():
        image = cv2.cvtColor(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        normalize(transform(image, None, settings, np.random.default_rng(1))[0])

    def pillow():
        image = Image.open(io.BytesIO(encoded)).convert("RGB").resize((1310, 720), Image.BILINEAR)
        image = image.crop((15, 0, 1295, 720)).transpose(Image.FLIP_LEFT_RIGHT)
        ((np.asarray(image, dtype=np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1).copy()

    sides = {
        "confusion matrix, bincount": usual_matrix,
        "confusion matrix, ours": lambda: ConfusionMatrix(CLASSES).add(label, prediction),
        "sample, Pillow": pillow,
        "sample, ours": ours,
    }
    pairs = [("confusion matrix, ours", "confusion matrix, bincount"), ("sample, ours", "sample, Pillow")]
    return sides, pairs, {}


def initialized(network):
    import mxnet as mx  # noqa: PLC0415 - imports once gluon_madapt has been

    mx.random.seed(1)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    return network


def new_segmenter(encoder):
    from mxnet import nd  # noqa: PLC0415

    net = initialized(Segmenter(encoder, CLASSES))
    net(nd.zeros((1, 3, 64, 64)))
    return net


def new_twin(encoder, net):
    import torch  # noqa: PLC0415
    from torch_twin import load_gluon, segmenter  # noqa: PLC0415

    return load_gluon(segmenter(encoder, CLASSES), parameter_values(net)).to(memory_format=torch.channels_last)


def torch_sgd(module, settings):
    import torch  # noqa: PLC0415

    options = {"momentum": settings.momentum, "weight_decay": settings.weight_decay}
    return torch.optim.SGD(module.parameters(), lr=settings.learning_rate, **options)


def channels_last(images):
    import torch  # noqa: PLC0415

    return torch.from_numpy(images).contiguous(memory_format=torch.channels_last)


def random_images(number, height, width):
    return np.random.default_rng(0).normal(size=(number, 3, height, width)).astype(np.float32)


def random_labels(number, height, width):
    return np.random.default_rng(1).integers(0, CLASSES, (number, height, width)).astype(np.float32)


def largest_difference(ours, theirs):
    """Return the largest difference of the scores, as a share of their range."""
    expected = theirs[0].detach().numpy()
    return float(np.abs(ours[0].asnumpy() - expected).max() / np.ptp(expected))


def peak_rate():
    """Return the rate of a large matrix product, in GFLOP/s: what the cores can do."""
    a = np.random.default_rng(0).random((4096, 4096), dtype=np.float32)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        a @ a
        rates.append(2 * 4096**3 / (time.perf_counter() - began) / 1e9)
    return {"peak, a matrix product of 4096, GFLOP/s": max(rates)}


def wait(arrays):
    for one in arrays:
        one.wait_to_read()


if __name__ == "__main__":
    main()
