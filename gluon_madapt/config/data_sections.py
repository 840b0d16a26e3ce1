"""Defines the sections of an experiment that say where its images lie, and of which classes they are."""

from typing import Dict, Literal, Optional, Tuple, Union

from pydantic import Field, model_validator
from typing_extensions import Annotated  # typing's, from Python 3.9 on

from gluon_madapt.config.section import Section
from gluon_madapt.config.values import (
    ONE_OR_LIST,
    ONE_VALUE,
    VALUES,
    Colour,
    LabelId,
    PathText,
    Text,
    Whole,
)


class Data(Section):
    """Where one set of images lies: ``dataset`` names its layout on disk.

    All else is for ``dataset: folder``.  The label of an image lies in the folder ``labels``, at the image's relative
    path with ``image_suffix``, or the file type if that is empty, replaced by ``label_suffix``; only images that end
    with ``image_suffix`` count.  ``ids`` are the label ids of each class here, where they are not those of ``classes``;
    ``ignored_ids`` are those of none.
    """

    dataset: Literal["gta5", "synthia", "cityscapes", "folder"]
    root: PathText
    split: Text = "train"
    labels: Optional[PathText] = None
    image_suffix: Text = ""
    label_suffix: Text = ".png"
    ids: Optional[Dict[str, Tuple[LabelId, ...]]] = None
    ignored_ids: Annotated[
        Union[Annotated[Literal["others"], ONE_VALUE], Annotated[Tuple[LabelId, ...], VALUES]], ONE_OR_LIST
    ] = (255,)

    @model_validator(mode="after")
    def _of_a_folder(self):
        if self.dataset != "folder":
            for name in ("labels", "image_suffix", "label_suffix", "ignored_ids"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is for dataset folder: {self.dataset} has a layout of its own")
        return self


class OwnClass(Section):
    """A class of one's own: its label ids, unless each data set states them, and its colour in pictures."""

    name: Text = Field(min_length=1, max_length=200)
    ids: Tuple[LabelId, ...] = ()
    colour: Optional[Colour] = None


class DataSets(Section):
    """The labelled source, the unlabelled target, and the labelled split that scores are measured on.

    ``on_error`` says what an unreadable sample does: stop the training, or have the next sample take its place.
    """

    source: Data
    target: Data
    val: Optional[Data] = None
    threads: Whole = Field(default=2, ge=1, le=1024)
    on_error: Literal["stop", "skip"] = "stop"
