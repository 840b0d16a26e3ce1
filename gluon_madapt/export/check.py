"""Checks, by ONNX Runtime, that an exported file computes what the network does."""

from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Tuple

import numpy as np
import onnxruntime
from mxnet import nd

from gluon_madapt.data import normalize, resize_image
from gluon_madapt.errors import FailureError
from gluon_madapt.miniworld.trees import draw
from gluon_madapt.models import Segmenter
from gluon_madapt.models.inference_graph import share_of_range
from gluon_madapt.names import utf8_path
from gluon_madapt.system.threads import cores
from gluon_madapt.upsampling import upsample

# How far, of their range, ONNX Runtime's scores may be from MXNet's.  Rounding explains 1e-5.
TOLERANCE = 1e-4


class _Scores(NamedTuple):
    logits: np.ndarray  # (L, H, W) float32
    labels: np.ndarray  # (H, W) uint8


def check(path: Path, net: Segmenter, height: int, width: int) -> Dict[str, float]:
    """Compare ONNX Runtime's scores with MXNet's on two images.

    Parameters
    ----------
    path : Path
        The ONNX file.
    net : Segmenter
        The network that it was made from, on the CPU.
    height, width : int
        The size of its images.

    Returns
    -------
    dict of str to float
        For each kind of image the largest difference of two scores, as a share of the range of the scores.

    Raises
    ------
    FailureError
        If a score is not finite or differs by more than `TOLERANCE`, or a label is not that of the highest score.
    """
    session = _session(path)
    differences = {}
    for kind, image in _images(height, width):
        found, expected = _run(session, image), _scores(net, image)
        difference = share_of_range(found.logits, expected)
        if not difference <= TOLERANCE:  # nor is it if it is not a number
            raise FailureError(
                f"ONNX Runtime's scores of {kind} are {difference:.1g} of their range from MXNet's: "
                f"expected {TOLERANCE:.0e} at most: nothing was written"
            )
        if not np.array_equal(found.labels, found.logits.argmax(axis=0)):
            raise FailureError(f"ONNX Runtime's labels of {kind} are not those of its scores: nothing was written")
        differences[kind] = difference
    return differences


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    with utf8_path(path) as name:
        return onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])


def _images(height: int, width: int) -> Iterator[Tuple[str, np.ndarray]]:
    yield "noise", np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    yield "a street of the mini world", resize_image(draw("cityscapes/val", 1, 0)[0], (width, height))


def _run(session: onnxruntime.InferenceSession, image: np.ndarray) -> _Scores:
    logits, labels = session.run(["logits", "labels"], {"image": image[None]})
    return _Scores(logits[0], labels[0])


def _scores(net: Segmenter, image: np.ndarray) -> np.ndarray:
    """Return the scores behind `gluon_madapt.evaluation.predict_labels`."""
    quarter = net.quarter(nd.array(normalize(image)[None]))[0]
    return upsample(quarter[0].asnumpy(), *image.shape[:2])
