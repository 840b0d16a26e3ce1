"""A model that was exported, in use without MXNet."""

import json
import logging
from pathlib import Path
from typing import Any, Dict, Iterator, Union

import numpy as np

from gluon_madapt.data import resize_image
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import classes_named
from gluon_madapt.precision import BFLOAT16, FLOAT32, is_near, refuse_precision
from gluon_madapt.prediction.runtimes import OnnxRuntime, last_line, open_exported
from gluon_madapt.upsampling import probability_blocks

_log = logging.getLogger(__name__)


class OnnxModel:
    """A file of tools/export_onnx.py in use; attributes and methods as of `MXNetModel`.

    Its network sees images of one size: an image has to have that size, or that shape and be resized.

    Raises
    ------
    UserError
        If the file is damaged or of another kind, no runtime is installed, or it cannot do what is asked for.
    """

    def __init__(
        self,
        path: Path,
        multi_scale: bool = False,
        short_side: Union[int, str, None] = None,
        device: str = "auto",
        precision: str = FLOAT32,
    ):
        if multi_scale:
            raise UserError(f"{path}: is for images of one size, and --multi-scale is not: use the checkpoint")
        if not (device == "auto" or device.startswith("cpu")):
            raise UserError(f"{path}: is run on the processor, not on {device}: use the checkpoint")
        refuse_precision(precision)
        self._path, self._runtime = path, open_exported(path)
        if precision == BFLOAT16 and isinstance(self._runtime, OnnxRuntime):
            raise UserError(f"{path}: {self._runtime.name} does not compute in bfloat16: install OpenVINO")
        facts = self._runtime.facts
        self._size = int(facts["width"]), int(facts["height"])
        self.classes = classes_named(json.loads(facts["class_names"]), json.loads(facts["palette"]))
        self.precision, self._used, self._settled = precision, precision, precision == FLOAT32
        self.origin: Dict[str, Any] = {"checkpoint": str(path), "checkpoint_sha256": sha256(path)}
        self.origin.update({key: facts.get(key) for key in ("encoder", "stage")})
        self.origin.update({key: json.loads(facts.get(key, "null")) for key in ("iteration", "seed")})
        self.origin.update(code=json.loads(facts.get("trained_by", "null")), runtime=self._runtime.name)
        own = min(self._size) if short_side is None else None if short_side == "own" else short_side
        self.settings: Dict[str, Any] = {"short_side": own, "scales": (1.0,), "mirror": False}
        evaluated = json.loads(facts.get("short_side", "null"))
        if short_side is None and evaluated != own:
            at = "an image's own size" if evaluated is None else f"a short side of {evaluated}"
            _log.info("%s: is for a short side of %d; the checkpoint is evaluated at %s", path, own, at)

    @property
    def computed_in(self) -> str:
        """As of `Predictor`."""
        return self._used

    @computed_in.setter
    def computed_in(self, precision: str) -> None:
        self._used, self._settled = precision, True

    def refuse(self, width: int, height: int) -> None:
        """Refuse an image that would not come to the network at the size that the file is for."""
        seen = base_size(width, height, short_side=self.settings["short_side"])
        if tuple(seen) != self._size:
            raise UserError(
                f"{width}x{height} pixels would be {seen[0]}x{seen[1]} to the network, and {self._path} is for "
                f"{self._size[0]}x{self._size[1]} alone: export that size, too, or use the checkpoint"
            )

    def blocks(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Yield class probabilities of an image at its own size, block by block of rows."""
        height, width = image.shape[:2]
        seen = np.ascontiguousarray(resize_image(image, self._size))
        try:
            scores = self._scores(seen)
        except Exception as error:  # of many kinds, none of which a library promises
            raise UserError(f"{width}x{height} pixels: {self._runtime.name} fails ({last_line(error)})") from None
        return probability_blocks(scores, height, width)

    def _scores(self, image: np.ndarray) -> np.ndarray:
        if self._settled:
            return self._runtime.scores(image, self._used)
        scores = {one: self._runtime.scores(image, one) for one in (FLOAT32, BFLOAT16)}
        near = is_near(*(one.argmax(axis=0) for one in scores.values()))
        self.computed_in = BFLOAT16 if near else FLOAT32
        self._runtime.drop(FLOAT32 if near else BFLOAT16)
        return scores[self._used]
