"""Describes the JSON files of a run folder, so that a damaged one is an error of one line, never half a page."""

from typing import Any, Dict, List, Optional

from pydantic import AliasChoices, Field

from gluon_madapt.files.records import Record
from gluon_madapt.precision import FLOAT32
from gluon_madapt.reproduction.results import Scores


class Protocol(Record):
    """How a model was scored; `gluon_madapt.evaluation.protocol.protocol_of`."""

    stage: str
    val: Optional[str] = None
    short_side: Optional[int] = None
    scales: List[float]
    mirror: bool
    adabn: Optional[Dict[str, Any]] = Field(default=None, validation_alias=AliasChoices("adabn", "refresh"))
    precision: str = FLOAT32


class ScoreFile(Scores):
    """What tools/eval.py writes."""

    protocol: Protocol
    images: int
    computed_in: Optional[str] = None  # where that is not the protocol's precision


class Metrics(Record):
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
    last_tenth: Dict[str, float] = {}
    warnings: List[str] = []


class Ties(Record):
    """Shares of pixels at a threshold."""

    t1: float
    t2: Dict[str, float]


class Accuracy(Record):
    """How many pixels of a group are right; None stands for no pixels."""

    pixels: int
    accuracy: Optional[float] = None


class Group(Accuracy):
    """The same, and by class."""

    by_class: Dict[str, Accuracy]


class Areas(Record):
    """The areas under ROC curves, by score; `gluon_madapt.proxies.roc.RocCounts.report`."""

    pixels: int
    right: int
    areas: Dict[str, Optional[float]]
    off_by_at_most: Optional[float] = None
    weights: Optional[Dict[str, float]] = None


class Roc(Record):
    """The same, of all predictions and by class."""

    in_all: Areas
    by_class: Dict[str, Areas]


class ProxyRecord(Record):
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
    roc: Optional[Roc] = None  # which audits of earlier versions do not have
