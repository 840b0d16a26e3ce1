"""Predicts the class of every pixel of an image by a trained model, as the evaluation does."""

from pathlib import Path
from typing import Any, NamedTuple, Tuple, Union

import numpy as np

from gluon_madapt.data.image_files import read_image
from gluon_madapt.errors import FailureError
from gluon_madapt.precision import FLOAT32
from gluon_madapt.proxies.pixels import classify


class Prediction(NamedTuple):
    """What a model says of an image.

    Attributes
    ----------
    labels : np.ndarray
        (H, W) uint8 train ids, the likeliest class of each pixel.
    confidence : np.ndarray
        (H, W) float32, the probability of that class.
    top_ids : np.ndarray
        (k, H, W) uint8 train ids of the k likeliest classes, likeliest first; of a tie the lower id first.
    top_probabilities : np.ndarray
        (k, H, W) float16, their probabilities.
    """

    labels: np.ndarray
    confidence: np.ndarray
    top_ids: np.ndarray
    top_probabilities: np.ndarray


class Predictor:
    """A model in use; call it with an image.

    Parameters
    ----------
    model : MXNetModel or OnnxModel
        The model, and what computes it.

    Attributes
    ----------
    classes : ClassSet
        Names and colours of the classes, with the label ids of data sets that have them.
    origin : dict
        Where the model comes from, as in `gluon_madapt.runs.trained.TrainedModel`; an exported file's has ``runtime``.
    settings : dict
        short_side, scales and mirror, as `gluon_madapt.evaluation.predict_labels` takes them.
    precision : str
        What was asked for, "float32" or "bfloat16".
    """

    @property
    def computed_in(self) -> str:
        """The precision that is used, which the first image decides; or set it, and no image does."""
        return self._model.computed_in

    @computed_in.setter
    def computed_in(self, precision: str) -> None:
        self._model.computed_in = precision

    def __init__(self, model: Any):
        self._model = model
        self.classes, self.origin, self.settings = model.classes, model.origin, model.settings
        self.precision = model.precision

    @classmethod
    def load(
        cls,
        path: Union[str, Path],
        multi_scale: bool = False,
        short_side: Union[int, str, None] = None,
        device: str = "auto",
        precision: str = FLOAT32,
    ) -> "Predictor":
        """Load a model without being told its encoder or classes.

        Parameters
        ----------
        path : str or Path
            A checkpoint, the folder of a stage or of a run, a finished network or a released parameter file; or an
            exported ``.onnx`` file, which needs no MXNet.
        multi_scale : bool
            Whether to average over the model's scales and mirrored copies.
        short_side : int or "own", optional
            Short side of the network's input, or the image's own size; that of the model's evaluation by default.
        device : str
            "auto", "cpu(0)", "gpu(1)"; "auto" is the first GPU, or the CPU without one.
        precision : str
            "float32" or "bfloat16", which some processors have instructions for.

        Raises
        ------
        UserError
            If there is no such file, it is damaged or of another kind, or there is no such device or precision there.
        """
        path, how = Path(path), (multi_scale, short_side, device, precision)
        if path.suffix.lower() == ".onnx" and not path.is_dir():
            from gluon_madapt.prediction.onnx_model import OnnxModel  # noqa: PLC0415 - MXNet is not needed then

            return cls(OnnxModel(path, *how))
        from gluon_madapt.prediction.mxnet_model import MXNetModel  # noqa: PLC0415

        return cls(MXNetModel.load(path, *how))

    def __call__(self, image: Union[np.ndarray, str, Path], top_k: int = 0) -> Prediction:
        """Segment an image at its own size.

        Parameters
        ----------
        image : np.ndarray, str or Path
            (H, W, 3) uint8 RGB; or the file of an image, which is turned upright as EXIF says.
        top_k : int
            How many of the likeliest classes are returned, besides the likeliest.

        Raises
        ------
        UserError
            If the file cannot be read, or the network cannot take an image of that size.
        FailureError
            If what the network returns is not finite.
        ValueError
            If the array is no image, or there are fewer classes than ``top_k``.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(Path(image))
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an image of shape {image.shape} and type {image.dtype}: expected (H, W, 3) uint8 RGB")
        if top_k > len(self.classes):
            raise ValueError(f"top_k {top_k}: there are {len(self.classes)} classes")
        self._model.refuse(*image.shape[1::-1])
        parts = list(zip(*(_of_block(block, top_k) for block in self._model.blocks(image))))
        labels, confidence = (np.concatenate(part) for part in parts[:2])
        top_ids, top_probabilities = (np.concatenate(part, axis=1) for part in parts[2:])
        return Prediction(labels, confidence, top_ids, top_probabilities)

    def __str__(self) -> str:
        short_side, scales = self.settings["short_side"], ", ".join(map(str, self.settings["scales"]))
        size = "an image's own size" if short_side is None else f"a short side of {short_side}"
        copies = f", scales {scales}, mirrored" if self.settings["mirror"] else ""
        how = "" if self.precision == FLOAT32 else f", in {self.precision}"
        how += f", by {self.origin['runtime']}" if "runtime" in self.origin else ""
        model = f"{self.origin['checkpoint']}: {self.origin['encoder']}, {len(self.classes)} classes"
        return f"{model}, at {size}{copies}{how}"


def _of_block(block: np.ndarray, top_k: int) -> Tuple[np.ndarray, ...]:
    """Return what a `Prediction` holds, of some rows of probabilities, (L, rows, W)."""
    try:
        labels, confidence = classify(block)
    except ValueError as error:
        raise FailureError(str(error)) from None
    return (labels.astype(np.uint8), confidence, *_top(block, top_k))


def _top(block: np.ndarray, k: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the k largest of (L, rows, W) probabilities: their places, uint8, and values, float16, (k, rows, W)."""
    left = block.copy() if k else block
    ids = np.empty((k, *block.shape[1:]), dtype=np.uint8)
    values = np.empty(ids.shape, dtype=np.float16)
    for rank in range(k):
        best = left.argmax(axis=0)[None]
        ids[rank] = best
        values[rank] = np.take_along_axis(left, best, axis=0)
        np.put_along_axis(left, best, -1, axis=0)
    return ids, values
