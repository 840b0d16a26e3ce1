"""Finds the checkpoint to start from, and refuses those that a stage cannot start from."""

import zipfile
from pathlib import Path
from typing import Sequence, Tuple

from gluon_madapt.errors import UserError
from gluon_madapt.run_layout import CHECKPOINT, PARAMETERS, TRAININGS
from gluon_madapt.training.checkpoint import read_meta

# The stages that leave a model, the last one first.
MODELS = TRAININGS[::-1]


def finished_checkpoint(run_folder: Path, stage: str, command: str) -> Path:
    """Return the checkpoint of a finished stage of a run.

    Raises
    ------
    UserError
        If there is none, it is damaged, or the stage is not finished; ``command``, which runs the stage, is the cure.
    """
    path = run_folder / stage / CHECKPOINT
    if not path.is_file():
        raise UserError(f"{path}: missing, the checkpoint of stage '{stage}': make it with {command}")
    try:
        done, iterations = progress_of(path)
    except UserError as error:
        raise UserError(f"{error}: {command} goes on from the one before it") from None
    if done < iterations:
        raise UserError(
            f"{path}: stage '{stage}' was stopped after iteration {done} of {iterations}: go on with {command}"
        )
    return path


def progress_of(path: Path) -> Tuple[int, int]:
    """Return how many iterations of a training a checkpoint has behind it, and how many there are in all."""
    meta = read_meta(path)
    return meta["iteration"], meta["iterations"]


def named_checkpoint(path: Path, stages: Sequence[str] = MODELS) -> Path:
    """Return the checkpoint that a user names by its path, or by the folder of a stage or a run.

    In the folder of a run it is that of the first of ``stages`` that has one.

    Raises
    ------
    UserError
        If there is no such file, or no such checkpoint in the folder.
    """
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: no such file: expected a checkpoint, or the folder of a stage or a run")
        return path
    for folder in (path, *(path / stage for stage in stages)):
        if (folder / CHECKPOINT).is_file():
            return folder / CHECKPOINT
    which = "a stage" if stages == MODELS else " or ".join(stages)
    raise UserError(
        f"{path}: holds no {CHECKPOINT}, nor does {which} in it: expected a checkpoint, or the "
        "folder of a stage or a run"
    )


def start_at(path: Path, stages: Sequence[str]) -> Path:
    """Return the checkpoint that --from names, of one of ``stages``, finished; a parameter file says of neither.

    Raises
    ------
    UserError
        If there is none, it is damaged, of another stage, or not finished.
    """
    try:
        checkpoint = named_checkpoint(path, stages)
    except UserError as error:
        raise UserError(f"--from {error}") from None
    if not zipfile.is_zipfile(checkpoint):
        return checkpoint
    meta, expected = read_meta(checkpoint), " or ".join(f"'{stage}'" for stage in stages)
    stage, done, iterations = (meta.get(key) for key in ("stage", "iteration", "iterations"))
    if stage not in (None, *stages):
        hint = ""
        if stages == ("adversarial",):
            parameters = checkpoint.with_name(PARAMETERS)
            hint = f": tools/train_adv.py trains one; or give --p1 1 and {parameters}"
        raise UserError(
            f"--from {checkpoint}: is of stage '{stage}': expected a finished checkpoint of {expected}{hint}"
        )
    if done is not None and iterations is not None and done < iterations:
        raise UserError(
            f"--from {checkpoint}: stage '{stage}' was stopped after iteration {done} of {iterations}: "
            "let the command that made it go on to its end"
        )
    return checkpoint
