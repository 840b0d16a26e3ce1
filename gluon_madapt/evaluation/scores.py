"""Scores a network on a labelled split: IoU per class and its means."""

from contextlib import closing
from typing import Dict, Iterator, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.data import Dataset, normalize, resize_image
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.evaluation.inference import half_up, mean_probability_blocks
from gluon_madapt.evaluation.metrics import ConfusionMatrix
from gluon_madapt.formats import over_fewer
from gluon_madapt.labels import ClassSet
from gluon_madapt.models.image_sizes import refuse_size
from gluon_madapt.proxies.pixels import classify
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import in_threads


def predict_labels(
    net,
    image: np.ndarray,
    context: mx.Context,
    short_side: Optional[int] = None,
    scales: Sequence[float] = (1.0,),
    mirror: bool = False,
) -> np.ndarray:
    """Segment one image at its own size.

    Parameters
    ----------
    net : Segmenter
        The network.
    image : np.ndarray
        (H, W, 3) uint8 RGB.
    context : mx.Context
        The device of the network.
    short_side : int, optional
        Short side of the network's input; that of the image by default.
    scales, mirror
        As in `predict_probabilities`.

    Returns
    -------
    np.ndarray
        (H, W) uint8 train ids.

    Raises
    ------
    UserError
        If the network cannot take an image of that size.
    """
    height, width = image.shape[:2]
    encoder = getattr(net, "encoder_name", "")  # any other network takes what it takes
    seen = base_size(width, height, short_side=short_side)
    refuse_size((width, height), seen, encoder, scales=scales, rounding=half_up)
    blocks = image_probability_blocks(net, image, context, short_side, scales, mirror)
    return np.concatenate([classify(block)[0] for block in blocks]).astype(np.uint8)


def image_probability_blocks(
    net, image: np.ndarray, context: mx.Context, short_side: Optional[int], scales: Sequence[float], mirror: bool
) -> Iterator[np.ndarray]:
    """Yield class probabilities of an image at its own size, (L, rows, W) float32, each block valid until the next.

    Arguments as in `predict_labels`.
    """
    height, width = image.shape[:2]
    resized = resize_image(image, base_size(width, height, short_side=short_side))
    batch = nd.array(normalize(resized)[None], ctx=context)
    return mean_probability_blocks(net, batch, scales, mirror, size=(width, height))


def evaluate(
    net,
    dataset: Dataset,
    num_classes: int,
    context: mx.Context,
    short_side: Optional[int] = None,
    scales: Sequence[float] = (1.0,),
    mirror: bool = False,
) -> ConfusionMatrix:
    """Count predictions against labels over a whole labelled split; arguments as in `predict_labels`."""
    matrix = ConfusionMatrix(num_classes)
    places = range(len(dataset))
    pairs = in_threads(lambda index: (dataset.image(index), dataset.label(index)), places, threads=1, ahead=1)
    with Progress("evaluation", len(dataset)) as progress, closing(pairs):
        for index, (image, label) in enumerate(pairs):
            try:
                prediction = predict_labels(net, image, context, short_side, scales, mirror)
            except UserError as error:
                raise UserError(f"{dataset.samples[index].image}: {error}") from None
            except ValueError as error:
                raise FailureError(f"{dataset.samples[index].image}: {error}") from None
            matrix.add(label, prediction)
            progress.one_more()
    return matrix


def summary(matrix: ConfusionMatrix, classes: ClassSet) -> Dict:
    """Return scores in percent: ``miou``, ``iou`` per class, for 16 classes ``miou13``; None where all is absent.

    A mean over fewer classes than there are has beside it what `over_fewer` says: ``miou_is``, ``miou13_is``.
    """
    iou = {name: _percent(value) for name, value in zip(classes.names, matrix.iou)}
    means = {"miou": _percent(matrix.miou())}
    if classes.subset_13:
        means["miou13"] = _percent(matrix.miou(classes.subset_13))
    notes = {f"{key}_is": over_fewer([iou], key).strip() for key in means}
    return {"miou": means["miou"], "iou": iou, **means, **{key: text for key, text in notes.items() if text}}


def _percent(share: float) -> Optional[float]:
    """Return a share in percent, and None, not NaN, which JSON does not know, where there is none."""
    return None if np.isnan(share) else 100 * float(share)
