"""Defines the sections of an experiment: every setting with its type and its range."""

import os
import re
from collections import Counter
from typing import Literal, Optional, Tuple, Union

from pydantic import Field, PositiveFloat, field_validator, model_validator
from typing_extensions import Annotated  # typing's, from Python 3.9 on

from gluon_madapt.config.data_sections import DataSets, OwnClass
from gluon_madapt.config.section import Section
from gluon_madapt.config.values import (
    ONE_OR_LIST,
    ONE_VALUE,
    VALUES,
    WHOLE,
    Devices,
    PathText,
    Switch,
    Whole,
    a_pair,
)
from gluon_madapt.config.yaml_text import yaml_of

_Positive = Field(gt=0)
_NotNegative = Field(ge=0)


# The side of one cell of the coarsest maps, in pixels of the image.
_SMALLEST = 32
_Side = Annotated[Whole, Field(ge=_SMALLEST, le=1 << 16)]
_Size = Annotated[Tuple[_Side, _Side], a_pair("a width and a height, as in [1024, 512]")]
_ScaleRange = Annotated[Tuple[float, float], a_pair("the lowest and the highest factor, as in [0.7, 1.3]")]

_Beta = Annotated[float, Field(ge=0, lt=1)]
_Betas = Annotated[Tuple[_Beta, _Beta], a_pair("the two decay rates of Adam, as in [0.9, 0.999]")]

# Train ids are bytes, and 255 is of none.
_MOST_CLASSES = 255

# Bytes that file systems allow in the name of a folder.
_LONGEST_NAME = 255


class Model(Section):
    """The segmenter.

    ``weights`` is a file of ImageNet weights for the encoder, "zoo" (GluonCV's) or "none"; ``sync_bn`` has batch norm
    see the batch of all GPUs of a process.
    """

    encoder: Literal["resnet101", "vgg16", "small"]
    weights: PathText
    sync_bn: Switch = False


class Input(Section):
    """How an image becomes a network input: resized, scaled at random, cropped, mirrored; P §3.2.

    ``size`` (width, height) and ``short_side`` exclude each other; without either, images keep their own size.  No side
    is smaller than a cell of the networks' coarsest maps.
    ``scale`` is the range of a random factor on top.  Images below the crop are padded right and bottom.
    """

    size: Optional[_Size] = None
    short_side: Optional[_Side] = None
    scale: _ScaleRange = (1.0, 1.0)
    crop: Optional[_Size] = None
    mirror: Switch = True

    @model_validator(mode="after")
    def _consistent(self):
        if self.size is not None and self.short_side is not None:
            raise ValueError("size and short_side exclude each other: set one of them to null")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale must be two positive factors, the lower one first")
        return self


class Training(Section):
    """What the three trainings share: SGD on F and C; ``accumulate`` batches give the gradient of an iteration.

    With ``recompute`` the encoder's activations are computed again in the backward pass, not kept for it.
    """

    iterations: Whole = Field(gt=0, le=10**9)
    batch_size: Whole = Field(gt=0, le=1 << 16)
    accumulate: Whole = Field(default=1, ge=1, le=1 << 16)
    recompute: Switch = False
    learning_rate: float = _Positive
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = _NotNegative


class Source(Training):
    """Stage 1: supervised training on the source domain."""

    poly_power: float = _NotNegative
    input: Input


class Adversarial(Training):
    """Stage 2: adversarial training with zero, one (D1) or two discriminators.

    ``align`` says what these look at: features, or class probabilities (Tsai et al., CVPR 2018), for which two need an
    auxiliary classifier, whose segmentation loss ``lambda_auxiliary`` weighs.
    ``output_stride`` is the side of one cell of what the discriminators say, in pixels of the image; on features D2
    starts at 16.  All learning rates decrease by ``poly_power``; 0 is constant.
    ``statistics`` says whose passes move the running statistics of batch norm: those of both domains, or of the target.
    """

    poly_power: float = Field(default=0.0, ge=0)
    align: Literal["features", "outputs"] = "features"
    discriminators: Annotated[Literal[0, 1, 2], WHOLE]
    output_stride: Annotated[Literal[4, 8, 16, 32], WHOLE] = 32
    discriminator_learning_rate: float = _Positive
    discriminator_betas: _Betas = (0.9, 0.999)
    lambda_seg: float = _NotNegative
    lambda_auxiliary: float = Field(default=0.1, gt=0)
    lambda_1: float = _NotNegative
    lambda_2: float = _NotNegative
    objective: Literal["non_saturating", "minimax"]
    joint_pass: Switch
    statistics: Literal["both", "target"] = "both"
    source_input: Input
    target_input: Input

    @model_validator(mode="after")
    def _told_apart(self):
        if self.joint_pass and self.statistics == "target":
            raise ValueError(
                "statistics: target needs a pass of the target alone, and joint_pass has one of both domains, whose "
                "statistics are of both: set joint_pass to false, or statistics to both"
            )
        return self


class Proxies(Section):
    """Stage 3: the share of pixels kept by adversarial confidence, and per class by classification confidence.

    ``model`` labels: that of stage 2, with discriminators; or, at p1 = 1, the one trained last without any: the source
    model, later what the round before has retrained.  ``p2_growth`` is added to p2 with every further round, up to
    ``p2_most``.  ``adabn_batches`` is the number of batches of target images that AdaBN re-estimates batch-norm
    statistics on first; ``precision`` is that of the segmenter.
    """

    model: Literal["adversarial", "trained"] = "adversarial"
    p1: float = Field(gt=0, le=1)
    p2: float = Field(gt=0, le=1)
    p2_growth: float = Field(default=0.0, ge=0, le=1)
    p2_most: float = Field(default=1.0, gt=0, le=1)
    size: Optional[_Size]
    adabn_batches: Whole = Field(default=0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _possible(self):
        if self.model == "trained" and self.p1 < 1:
            raise ValueError(
                "model: trained has no discriminators, so adversarial confidence is unknown: set p1 to 1, or model to "
                "adversarial"
            )
        if self.p2 > self.p2_most:
            raise ValueError(f"p2 is {self.p2}, above p2_most, {self.p2_most}: set p2 lower, or p2_most higher")
        return self


class Retrain(Training):
    """Stage 4: training on proxies alone, or on the labels of the source as well.

    ``init`` says where its first weights come from; ``input`` is of target images, and of source images, too, unless
    ``source_input`` is set; ``batch_size`` is of either.  ``statistics`` is as in stage 2, where both are learnt from.
    ``rounds`` of proxies share the iterations equally.
    """

    poly_power: float = _NotNegative
    init: Literal["imagenet", "source", "none"]
    learns_from: Literal["proxies", "source_and_proxies"] = "proxies"
    statistics: Literal["both", "target"] = "both"
    input: Input
    source_input: Optional[Input] = None
    rounds: Whole = Field(default=1, ge=1, le=1000)


class ShortSides(Section):
    """Short side of the network's input in the evaluation after each stage; null is the image's own size."""

    source: Optional[_Side] = None
    adversarial: Optional[_Side] = None
    retrain: Optional[_Side] = None


class Evaluation(Section):
    """How checkpoints are scored.

    ``scales`` are those of multi-scale evaluation; ``adabn_batches`` is the number of batches of target images that
    AdaBN re-estimates batch-norm statistics on first; ``precision`` is that of the network.
    """

    short_side: ShortSides
    scales: Tuple[PositiveFloat, ...] = Field(min_length=1)
    adabn_batches: Whole = _NotNegative
    precision: Literal["float32", "bfloat16"] = "float32"


class Bookkeeping(Section):
    """How often a training logs, scores the val split and saves, in iterations; 0 turns evaluation off."""

    log_every: Whole = _Positive
    eval_every: Whole = _NotNegative
    checkpoint_every: Whole = _Positive


class Experiment(Section):
    """Everything that defines a run of the four stages.

    ``devices`` share each batch of a training; "auto" is the first GPU, or the CPU without one.  With
    ``repeatable_sums`` three workers or more sum to the same bits each time.  ``classes`` are the 19 of GTA5 to
    Cityscapes, the 16 of SYNTHIA to Cityscapes, or a list of one's own in the order of their train ids.
    """

    name: str
    devices: Devices = "auto"
    repeatable_sums: Switch = True
    seed: Whole = Field(ge=0, lt=2**31)
    classes: Annotated[
        Union[Annotated[Literal[16, 19], WHOLE, ONE_VALUE], Annotated[Tuple[OwnClass, ...], VALUES]], ONE_OR_LIST
    ]
    data: DataSets
    model: Model
    source: Source
    adversarial: Adversarial
    proxies: Proxies
    retrain: Retrain
    evaluation: Evaluation
    bookkeeping: Bookkeeping

    @field_validator("name")
    @classmethod
    def _of_a_folder(cls, name: str) -> str:
        if not name.strip() or name in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]", name):
            raise ValueError("expected the name of a folder, which is made in runs/: without slashes, as in my-town")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise ValueError(f"expected the name of a folder, of {_LONGEST_NAME} bytes at most")
        return name

    @field_validator("classes")
    @classmethod
    def _told_apart(cls, classes):
        if isinstance(classes, int):
            return classes
        if not 2 <= len(classes) <= _MOST_CLASSES:
            raise ValueError(f"expected 16, 19, or a list of 2 to {_MOST_CLASSES} classes: these are {len(classes)}")
        names = [own_class.name for own_class in classes]
        ids = [label_id for own_class in classes for label_id in own_class.ids]
        for what, values in (("name", names), ("id", ids)):
            twice = [value for value, number in Counter(values).items() if number > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]} is there twice: expected one class for each")
        return classes

    @model_validator(mode="after")
    def _synchronizable(self):
        if self.model.sync_bn and self.devices != "auto" and self.devices[0].startswith("cpu"):
            raise ValueError(
                "model.sync_bn needs GPUs: MXNet's operator never returns on CPUs: set it to false, or devices to GPUs"
            )
        return self

    def to_yaml(self) -> str:
        """Write the experiment so that `load_experiment` reads the same one back."""
        return yaml_of(self.model_dump(mode="json"))
