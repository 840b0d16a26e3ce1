"""Find the checkpoint that a user names by a file or a folder, and refuse what a stage cannot start from."""

import zipfile
from pathlib import Path
from typing import Sequence

from gluon_madapt.errors import UserError
from gluon_madapt.run_layout import CHECKPOINT, TRAININGS
from gluon_madapt.training.checkpoint import read_meta

# Of the stages that leave a model, the last one first.
MODELS = TRAININGS[::-1]


def named_checkpoint(path: Path, stages: Sequence[str] = MODELS) -> Path:
    """Return the checkpoint that a path names: itself, or of the folder of a stage or a run, the first of ``stages``.

    Raises
    ------
    UserError
        If there is no such file, or no such checkpoint in the folder.
    """
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: no such file: expected a checkpoint, or the folder of a stage or a run")
        return path
    places = [path, *(path / stage for stage in stages)]
    found = [place / CHECKPOINT for place in places if (place / CHECKPOINT).is_file()]
    if not found:
        which = "a stage" if stages == MODELS else " or ".join(stages)
        raise UserError(
            f"{path}: holds no {CHECKPOINT}, nor does {which} in it: expected a checkpoint, or the "
            "folder of a stage or a run"
        )
    return found[0]


def start_at(path: Path, stages: Sequence[str]) -> Path:
    """Return the checkpoint that --from names, of one of ``stages``, finished; a parameter file says of neither.

    Raises
    ------
    UserError
        If there is none, it is damaged, of another stage, or not finished.
    """
    try:
        found = named_checkpoint(path, stages)
    except UserError as error:
        raise UserError(f"--from {error}") from None
    if not zipfile.is_zipfile(found):
        return found
    meta, expected = read_meta(found), " or ".join(f"'{stage}'" for stage in stages)
    stage, done, iterations = (meta.get(key) for key in ("stage", "iteration", "iterations"))
    if stage not in (None, *stages):
        hint = ""
        if stages == ("adversarial",):
            hint = f": tools/train_adv.py trains one; or give --p1 1 and {found.with_name('segmenter.params')}"
        raise UserError(f"--from {found}: is of stage '{stage}': expected a finished checkpoint of {expected}{hint}")
    if done is not None and iterations is not None and done < iterations:
        raise UserError(
            f"--from {found}: stage '{stage}' was stopped after iteration {done} of {iterations}: "
            "let the command that made it go on to its end"
        )
    return found
