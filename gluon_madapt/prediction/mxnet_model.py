"""A trained model in use, by MXNet."""

from pathlib import Path
from typing import Any, Dict, Iterator, Union

import mxnet as mx
import numpy as np

from gluon_madapt.config.values import device_name
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation import image_probability_blocks
from gluon_madapt.evaluation.inference import half_up
from gluon_madapt.models.image_sizes import refuse_size
from gluon_madapt.precision import FLOAT32, refuse_precision
from gluon_madapt.runs.trained import TrainedModel, load_trained
from gluon_madapt.system.devices import contexts_of


class MXNetModel:
    """A checkpoint or parameter file in use.

    Parameters
    ----------
    model : TrainedModel
        The model.
    context : mx.Context
        The device that it is on.
    multi_scale, short_side, precision
        As for `Predictor.load`.

    Attributes
    ----------
    classes, origin, settings, precision
        As of `Predictor`.
    """

    def __init__(
        self,
        model: TrainedModel,
        context: mx.Context,
        multi_scale: bool = False,
        short_side: Union[int, str, None] = None,
        precision: str = FLOAT32,
    ):
        refuse_precision(precision, str(context))
        self.classes, self.origin, self.precision = model.classes, model.origin, precision
        own = None if short_side == "own" else short_side
        self.settings: Dict[str, Any] = {
            "short_side": model.short_side if short_side is None else own,
            "scales": model.scales if multi_scale else (1.0,),
            "mirror": multi_scale,
        }
        self._net, self._context = model.net, context
        self._net.compile_for_inference(precision, sizes=len(self.settings["scales"]))

    @classmethod
    def load(
        cls, path: Path, multi_scale: bool, short_side: Union[int, str, None], device: str, precision: str
    ) -> "MXNetModel":
        """Load a model without being told its encoder or classes; parameters as of `Predictor.load`."""
        try:
            name = device_name(device)
        except ValueError:
            raise UserError(f"device {device}: expected auto, cpu(0), gpu(0) or another GPU by its number") from None
        context = contexts_of(name if name == "auto" else [name])[0]
        refuse_precision(precision, str(context))
        return cls(load_trained(path, context), context, multi_scale, short_side, precision)

    @property
    def computed_in(self) -> str:
        """As of `Predictor`."""
        return self._net.quarter.precision

    @computed_in.setter
    def computed_in(self, precision: str) -> None:
        if precision != self.computed_in:
            self._net.compile_for_inference(precision, sizes=len(self.settings["scales"]))
        elif precision != FLOAT32:
            self._net.quarter.settle(precision)

    def refuse(self, width: int, height: int) -> None:
        """Refuse a size of images that the network cannot take."""
        seen = base_size(width, height, short_side=self.settings["short_side"])
        scales = self.settings["scales"]
        refuse_size((width, height), seen, self.origin["encoder"], scales=scales, rounding=half_up)

    def blocks(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Yield class probabilities of an image at its own size, block by block of rows."""
        try:
            yield from image_probability_blocks(self._net, image, self._context, **self.settings)
        except mx.base.MXNetError as error:
            reason = str(error).strip().splitlines()[-1]
            height, width = image.shape[:2]
            raise UserError(f"{width}x{height} pixels: MXNet fails ({reason}): try a smaller short side") from None
