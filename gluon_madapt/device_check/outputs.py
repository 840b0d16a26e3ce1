"""Compares what networks return on a device with what the released ones return for the same weights."""

import re
from pathlib import Path
from typing import Dict, Iterator

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.device_check.checks import FAILED, OK, SKIPPED, Check
from gluon_madapt.evaluation import predict_probabilities
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.networks import initialize_segmenter
from gluon_madapt.weights.golden import golden_weight

_WHAT = "released outputs"
# Encoder, classes, height and width, as in resnet101_19_64x128.
_NAME = re.compile(r"(resnet101|vgg16)_(\d+)_(\d+)x(\d+)")
# Of the range of an output.  A CPU is at 2e-6; a GPU sums in another order, and may round to TensorFloat-32.
_BOUND = 1e-3


def check_outputs(context: mx.Context, golden: Path) -> Iterator[Check]:
    """Compare the networks of the golden files in a folder, hybridized and not."""
    archives = [(path, _NAME.fullmatch(path.stem)) for path in sorted(golden.glob("*.npz"))]
    found = [(path, match.groups()) for path, match in archives if match]
    if not found:
        yield Check(SKIPPED, _WHAT, f"{golden}: no golden files: expected those of a checkout's tests")
    for path, (encoder, *numbers) in found:
        classes, height, width = map(int, numbers)
        expected = dict(np.load(path))
        net = Segmenter(encoder, classes)
        initialize_segmenter(net, [context])
        for key, param in net._collect_params_with_prefix().items():
            param.set_data(nd.array(golden_weight(key, param.shape)))
        seed = int(expected["input_seed"])
        image = np.random.RandomState(seed).standard_normal((1, 3, height, width)).astype(np.float32)
        for hybridized in (False, True):
            net.hybridize(hybridized)
            differences = _differences(net, nd.array(image, ctx=context), expected)
            worst = max(differences.values())
            how = "hybridized" if hybridized else "not hybridized"
            text = f"{encoder}, {how}: within {worst:.0e} of the range of each output (at most {_BOUND:.0e})"
            yield Check(OK if worst <= _BOUND else FAILED, _WHAT, text, {f"{encoder}, {how}": differences})


def _differences(net: Segmenter, image: nd.NDArray, expected: Dict[str, np.ndarray]) -> Dict[str, float]:
    """Return the largest difference of each output, as a share of its range."""
    logits, feature, mid = net(image)
    found = {
        "logits": logits.asnumpy()[:, :, ::4, ::4],
        "feature": feature.asnumpy()[:, ::4, ::2, ::2],
        "c3": mid.asnumpy().mean(axis=(2, 3)),
        "multi_scale": predict_probabilities(net, image).asnumpy()[:, :, ::4, ::4],
    }
    return {
        name: float(np.abs(value - expected[name].reshape(value.shape)).max() / np.ptp(expected[name]))
        for name, value in found.items()
    }
