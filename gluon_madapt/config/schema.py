"""The sections of an experiment: every setting with its type and its range."""

import os
import re
from collections import Counter
from typing import Dict, Literal, Optional, Tuple, Union

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    PositiveFloat,
    Tag,
    field_validator,
    model_validator,
)
from typing_extensions import Annotated  # typing's, from Python 3.9 on


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


_Positive = Field(gt=0)
_NotNegative = Field(ge=0)


# The side of one cell of the coarsest maps, in pixels of the image.
_SMALLEST = 32
_Side = Annotated[int, Field(ge=_SMALLEST, le=1 << 16)]

# Train ids are bytes, and 255 is of none.
_MOST_CLASSES = 255

# Bytes that file systems allow in the name of a folder.
_LONGEST_NAME = 255

_Device = Annotated[str, Field(pattern=r"^[cg]pu\(\d+\)$")]


_Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


def _label_id(value):
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 16
    if number or (isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value)):
        return value
    raise ValueError("expected a label id, a number from 0 to 65535, or a colour as in '#804080'")


# What a label file holds for a pixel.
LabelId = Annotated[Union[int, str], PlainValidator(_label_id)]


def _or_list(one, many):
    """Return the type of a setting that is one value or a list; messages of `files` leave out what is in <>."""
    told = Discriminator(lambda value: "<list>" if isinstance(value, tuple) else "<one>")
    return Annotated[Union[Annotated[one, Tag("<one>")], Annotated[many, Tag("<list>")]], told]


class Data(_Section):
    """Where one set of images lies: ``dataset`` names its layout on disk.

    All else is for ``dataset: folder``.  The label of an image lies in the folder ``labels``, at the image's relative
    path with ``image_suffix``, or the file type if that is empty, replaced by ``label_suffix``; only images that end
    with ``image_suffix`` count.  ``ids`` are the label ids of each class here, where they are not those of ``classes``;
    ``ignored_ids`` are those of none.
    """

    dataset: Literal["gta5", "synthia", "cityscapes", "folder"]
    root: str
    split: str = "train"
    labels: Optional[str] = None
    image_suffix: str = ""
    label_suffix: str = ".png"
    ids: Optional[Dict[str, Tuple[LabelId, ...]]] = None
    ignored_ids: _or_list(Literal["others"], Tuple[LabelId, ...]) = (255,)

    @model_validator(mode="after")
    def _of_a_folder(self):
        if self.dataset != "folder":
            for name in ("labels", "image_suffix", "label_suffix", "ignored_ids"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is for dataset folder: {self.dataset} has a layout of its own")
        return self


class OwnClass(_Section):
    """A class of one's own: its label ids, unless each data set states them, and its colour in pictures."""

    name: str = Field(min_length=1, max_length=200)
    ids: Tuple[LabelId, ...] = ()
    colour: Optional[_Colour] = None


class DataSets(_Section):
    """The labelled source, the unlabelled target, the labelled split that scores are measured on.

    ``on_error`` says what a sample does that cannot be read: stop the training, or have the next one take its place.
    """

    source: Data
    target: Data
    val: Optional[Data] = None
    threads: int = Field(default=2, ge=1, le=1024)
    on_error: Literal["stop", "skip"] = "stop"


class Model(_Section):
    """The segmenter.

    ``weights`` is a file of ImageNet weights for the encoder, "zoo" (GluonCV's) or "none"; ``sync_bn`` has batch norm
    see the batch of all GPUs of a process.
    """

    encoder: Literal["resnet101", "vgg16", "small"]
    weights: str
    sync_bn: bool = False


class Input(_Section):
    """How an image becomes a network input: resized, scaled at random, cropped, mirrored; P §3.2.

    ``size`` (width, height) and ``short_side`` exclude each other; without either, images keep their own size.  No side
    is smaller than a cell of the networks' coarsest maps.
    ``scale`` is the range of a random factor on top.  Images below the crop are padded right and bottom.
    """

    size: Optional[Tuple[_Side, _Side]] = None
    short_side: Optional[_Side] = None
    scale: Tuple[float, float] = (1.0, 1.0)
    crop: Optional[Tuple[_Side, _Side]] = None
    mirror: bool = True

    @model_validator(mode="after")
    def _consistent(self):
        if self.size is not None and self.short_side is not None:
            raise ValueError("size and short_side exclude each other: set one of them to null")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale must be two positive factors, the lower one first")
        return self


class Training(_Section):
    """What the three trainings share: SGD on F and C; ``accumulate`` batches give the gradient of an iteration."""

    iterations: int = Field(gt=0, le=10**9)
    batch_size: int = Field(gt=0, le=1 << 16)
    accumulate: int = Field(default=1, ge=1, le=1 << 16)
    learning_rate: float = _Positive
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = _NotNegative


class Source(Training):
    """Stage 1: supervised training on the source domain."""

    poly_power: float = _NotNegative
    input: Input


class Adversarial(Training):
    """Stage 2: adversarial training with zero, one (D1) or two discriminators; both learning rates are constant."""

    discriminators: Literal[0, 1, 2]
    discriminator_learning_rate: float = _Positive
    lambda_seg: float = _NotNegative
    lambda_1: float = _NotNegative
    lambda_2: float = _NotNegative
    objective: Literal["non_saturating", "minimax"]
    joint_pass: bool
    source_input: Input
    target_input: Input


class Proxies(_Section):
    """Stage 3: the share of pixels kept by adversarial confidence, and per class by classification confidence.

    ``refresh`` is the number of batches of target images to re-estimate batch-norm statistics on first.
    """

    p1: float = Field(gt=0, le=1)
    p2: float = Field(gt=0, le=1)
    size: Optional[Tuple[_Side, _Side]]
    refresh: int = Field(default=0, ge=0)


class Retrain(Training):
    """Stage 4: training on proxies alone.  ``init`` says where its first weights come from."""

    poly_power: float = _NotNegative
    init: Literal["imagenet", "source", "none"]
    input: Input


class ShortSides(_Section):
    """Short side of the network's input in the evaluation after each stage; null is the image's own size."""

    source: Optional[_Side] = None
    adversarial: Optional[_Side] = None
    retrain: Optional[_Side] = None


class Evaluation(_Section):
    """How checkpoints are scored.

    ``scales`` are those of multi-scale evaluation; ``refresh`` is the number of batches of target images to re-estimate
    batch-norm statistics on first.
    """

    short_side: ShortSides
    scales: Tuple[PositiveFloat, ...] = Field(min_length=1)
    refresh: int = _NotNegative


class Bookkeeping(_Section):
    """How often a training logs, scores the val split and saves, in iterations; 0 turns evaluation off."""

    log_every: int = _Positive
    eval_every: int = _NotNegative
    checkpoint_every: int = _Positive


class Experiment(_Section):
    """Everything that defines a run of the four stages.

    ``devices`` share each batch of a training; "auto" is the first GPU, or the CPU without one.  ``classes`` are the 19
    of GTA5 to Cityscapes, the 16 of SYNTHIA to Cityscapes, or a list of one's own in the order of their train ids.
    """

    name: str
    devices: Union[Literal["auto"], Tuple[_Device, ...]] = "auto"
    seed: int = Field(ge=0, lt=2**31)
    classes: _or_list(Literal[16, 19], Tuple[OwnClass, ...])
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
    def _of_a_folder(cls, name):
        if not name.strip() or name in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]", name):
            raise ValueError("expected the name of a folder, which is made in runs/: without slashes, as in my-town")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise ValueError(f"expected the name of a folder, of {_LONGEST_NAME} bytes at most")
        return name

    @field_validator("devices")
    @classmethod
    def _of_one_kind(cls, devices):
        if devices == "auto":
            return devices
        if not devices or len(set(devices)) < len(devices) or len({device[:3] for device in devices}) > 1:
            raise ValueError("expected auto, or different devices of one kind, as in [gpu(0), gpu(1)]")
        return devices

    @field_validator("classes")
    @classmethod
    def _told_apart(cls, classes):
        if isinstance(classes, int):
            return classes
        if not 2 <= len(classes) <= _MOST_CLASSES:
            raise ValueError(f"expected 16, 19, or a list of 2 to {_MOST_CLASSES} classes: these are {len(classes)}")
        for what, found in (("name", [one.name for one in classes]), ("id", [i for one in classes for i in one.ids])):
            twice = [value for value, number in Counter(found).items() if number > 1]
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
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
