"""Reads JSON files against a model of their content: a damaged file is an error of one line."""

from pathlib import Path
from typing import Type, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from typing_extensions import Annotated  # typing's, from Python 3.9 on

from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_json


class Record(BaseModel):
    """What a JSON file holds; keys that a model does not name are passed over."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")  # noqa: TRY004 - pydantic's way
    return value


# Of any characters: a path may hold bytes that are no UTF-8, which pydantic's own strings refuse.
AnyText = Annotated[str, PlainValidator(_text)]

_Model = TypeVar("_Model", bound=Record)


def read_record(path: Path, model: Type[_Model]) -> _Model:
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
