"""What the files of a run folder hold, checked: a damaged one is an error of one line, never half a page."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Type, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_json


class _Stored(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Scores(_Stored):
    """IoU in percent; what `gluon_madapt.evaluation.scores.summary` returns."""

    miou: Optional[float]
    iou: Dict[str, Optional[float]]
    miou13: Optional[float] = None


class Protocol(_Stored):
    """How a model was scored; `gluon_madapt.evaluation.protocol.protocol_of`."""

    stage: str
    val: Optional[str] = None
    short_side: Optional[int] = None
    scales: List[float]
    mirror: bool
    adabn: Optional[Dict[str, Any]] = Field(default=None, validation_alias=AliasChoices("adabn", "refresh"))


class ScoreFile(Scores):
    """What tools/eval.py writes."""

    protocol: Protocol
    images: int


class Metrics(_Stored):
    """The metrics.json of a training, and of the proxies where its fields are theirs."""

    code: List[str] = []
    seed: Optional[int] = None
    images: Optional[int] = None
    source_images: Optional[int] = None
    seconds: Optional[float] = None
    iterations: Optional[int] = None
    iterations_in_these_seconds: Optional[int] = None
    val: Optional[Scores] = None
    replaced: Dict[str, int] = {}
    replaced_by_other_workers: int = 0
    skipped: List[str] = []
    left_out: List[str] = []
    labels_sha256: Optional[str] = None
    made_from: Dict[str, str] = {}


class Ties(_Stored):
    """Shares of pixels at a threshold."""

    t1: float
    t2: Dict[str, float]


class Accuracy(_Stored):
    """How many pixels of a group are right; None stands for no pixels."""

    pixels: int
    accuracy: Optional[float] = None


class Group(Accuracy):
    """The same, and by class."""

    by_class: Dict[str, Accuracy]


class ProxyRecord(_Stored):
    """proxies.json."""

    images: int
    pixels: int
    p1: float
    p2: float
    t1: float
    t2: Dict[str, float]
    pixels_focused: int
    pixels_focused_by_class: Dict[str, int]
    pixels_kept: int
    pixels_kept_by_class: Dict[str, int]
    share_labelled: float
    ties: Ties
    audit: Optional[Dict[str, Group]] = None


class Spread(_Stored):
    """A mean over seeds."""

    mean: float
    deviation: Optional[float] = None
    seeds: int


class TableResult(_Stored):
    """A row of a table for one seed."""

    seed: int
    run_folder: str
    scores: Optional[Scores] = None


class Published(_Stored):
    """What the paper prints of a row."""

    miou: float
    miou13: Optional[float] = None
    iou: Dict[str, Optional[float]] = {}
    backbone: str = ""


class TableRow(_Stored):
    """A row of a table."""

    row: str
    experiment: str
    encoder: str
    departures_from_the_paper: List[str] = []
    published: Optional[Published] = None
    reproduced: Dict[str, Spread]
    results: List[TableResult]


class Quoted(_Stored):
    """A row that the paper quotes."""

    method: str
    reported_by: str
    backbone: str
    iou: List[Optional[float]]
    miou: Optional[float] = None
    miou13: Optional[float] = None


class TableFile(_Stored):
    """table-N.json."""

    table: int
    title: str
    command: str
    rows: List[TableRow]
    quoted: List[Quoted] = []


_Model = TypeVar("_Model", bound=_Stored)


def read_stored(path: Path, model: Type[_Model]) -> _Model:
    """Read a JSON file.

    Raises
    ------
    UserError
        If it cannot be read, or does not hold what it should.
    """
    values = read_json(path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: does not hold what it should ({key}: {first['msg']}): it is damaged") from None
