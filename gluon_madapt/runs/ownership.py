"""Recognises the files that this project writes, and refuses to overwrite any others."""

import datetime
import json
import re
from pathlib import Path
from typing import Any, Callable, Set

from gluon_madapt.data.listing import files_below, is_hidden
from gluon_madapt.errors import UserError
from gluon_madapt.files.archives import array_names
from gluon_madapt.run_layout import CHECKPOINT, CONFIG, INPUTS

# Each of these files alone marks the folder of a stage; so do its config and inputs together.
_OF_A_STAGE = {CHECKPOINT, "checkpoint.previous.npz", "checkpoint.damaged.npz"}
_BEGUN = {CONFIG, INPUTS}
# The figures of a report; some bear the name of their experiment before it.
_PICTURE = re.compile(
    r"(.+-)?(figure-[56](-.+)?|iou|proxies|thresholds|(source|adversarial|retrain)-[a-z-]+)\.png", re.DOTALL
)


def refuse_other_stage(folder: Path) -> None:
    """Refuse to run a stage in a folder that holds anything else."""
    _refuse(folder, is_stage, "no stage of a run", "choose another --run-dir")


def refuse_other_cache(folder: Path) -> None:
    """Refuse to store a network pass in a folder that holds anything else."""
    _refuse(folder, is_cache, "no network pass", "choose another --cache or --run-dir")


def refuse_other_score_folder(folder: Path) -> None:
    """Refuse to move a folder aside that holds no scores."""
    _refuse(folder, _holds_scores, "no scores", "choose another --run-dir")


def refuse_other_scores(path: Path) -> None:
    """Refuse to overwrite a file with scores if it holds anything else."""
    if path.exists() and not is_scores(path):
        raise UserError(f"{path}: is no file of scores, and is left alone: choose another --out, or move it away")


def refuse_other_table(number: int, folder: Path) -> None:
    """Refuse to overwrite files with a table if they hold anything else."""
    files = [path for path in (folder / f"table-{number}{end}" for end in (".md", ".csv", ".json")) if path.exists()]
    if files and not _text(folder / f"table-{number}.md").startswith(f"# Table {number}"):
        raise UserError(f"{files[0]}: is no table of this project, and is left alone: choose another --out")


def refuse_other_page(page: Path) -> None:
    """Refuse to overwrite a file, or a folder, with a report and its figures if it holds anything else."""
    if page.exists():
        if "Written by gluon_madapt" not in _text(page):
            raise UserError(f"{page}: is no report of this project, and is left alone: choose another --out")
        return
    _refuse(page.with_suffix(""), _holds_pictures_alone, "no pictures of a report", "choose another --out")


def move_aside(folder: Path) -> None:
    """Rename a folder, so that a new one can take its place and nothing is lost."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    try:
        folder.rename(folder.with_name(f"{folder.name}.{stamp}.old"))
    except OSError as error:
        raise UserError(f"{folder}: cannot be moved aside ({error.strerror}): choose another folder") from None


def is_stage(folder: Path) -> bool:
    """Tell whether a stage of any version was begun in a folder, finished or not."""
    names = _names(folder)
    if names & _OF_A_STAGE or names >= _BEGUN:
        return True
    settings = _text(folder / CONFIG)  # alone where the stage was stopped just then
    return all(f"{key}:" in settings for key in ("bookkeeping", "adversarial", "retrain"))


def is_cache(folder: Path) -> bool:
    """Tell whether a folder holds a network pass, finished or not."""
    record = folder / INPUTS
    if record.exists():
        values = _json(record)
        return "discriminators" in values if isinstance(values, dict) else _holds_maps_alone(folder)
    return _holds_maps_alone(folder)


def is_scores(path: Path) -> bool:
    """Tell whether a file holds scores, or nothing."""
    values = _json(path)
    is_empty = not _text(path).strip() or values in ({}, [])
    return path.is_file() and (is_empty or (isinstance(values, dict) and "miou" in values))


def is_free(folder: Path) -> bool:
    """Tell whether a folder is missing, or holds only hidden files, as unfinished ones are."""
    return not folder.exists() or (folder.is_dir() and all(map(is_hidden, _names(folder))))


def _refuse(folder: Path, is_ours: Callable[[Path], bool], what: str, instead: str) -> None:
    if not (is_free(folder) or is_ours(folder)):
        raise UserError(f"{folder}: is {what}, nor empty, and is left alone: {instead}, or move it away")


def _holds_scores(folder: Path) -> bool:
    return any(map(is_scores, files_below(folder)))


def _holds_pictures_alone(folder: Path) -> bool:
    return folder.is_dir() and all(_PICTURE.fullmatch(path.name) for path in files_below(folder))


def _holds_maps_alone(folder: Path) -> bool:
    files = [path for path in files_below(folder) if path != folder / INPUTS]
    if not folder.is_dir():
        return False
    try:
        return all(path.suffix == ".npz" for path in files) and all(
            "made_from" in array_names(path) for path in files[:1]
        )
    except ValueError:
        return True  # a damaged map, which is an error where it is read


def _names(folder: Path) -> Set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}): choose another folder") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError:
        return None
