"""Loads trained networks from checkpoints and parameter files, by what these files say of their model."""

import logging
import zipfile
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import ClassSet, class_set, classes_named
from gluon_madapt.models import Segmenter
from gluon_madapt.run_layout import CHECKPOINT, PARAMETERS
from gluon_madapt.runs.checkpoints import named_checkpoint
from gluon_madapt.runs.manifest import manifest_inputs
from gluon_madapt.runs.networks import initialize_segmenter, new_segmenter
from gluon_madapt.runs.run import Run
from gluon_madapt.system.devices import contexts_of
from gluon_madapt.training.checkpoint import Checkpoint, load_network, read_checkpoint
from gluon_madapt.weights.gluon_files import description_beside, read_arrays
from gluon_madapt.weights.loading import load_released, recognize_segmenter

# The released code's, where a file says nothing of its evaluation.
_SCALES = (0.7, 1.0, 1.3)

_log = logging.getLogger(__name__)


class TrainedModel(NamedTuple):
    """A model to be used.

    Attributes
    ----------
    net : Segmenter
        F and C, not compiled yet.
    classes : ClassSet
        Its classes.
    short_side : int, optional
        Short side of the network's input in the evaluation of the stage; the image's own size if None.
    scales : tuple of float
        Those of multi-scale evaluation.
    origin : dict
        Where it comes from, JSON values: checkpoint, checkpoint_sha256, encoder, stage, round, iteration, seed, code;
        None where that is not known.
    """

    net: Segmenter
    classes: ClassSet
    short_side: Optional[int]
    scales: Tuple[float, ...]
    origin: Dict[str, Any]


def load_trained(path: Path, context: Optional[mx.Context] = None) -> TrainedModel:
    """Load a model whose encoder and classes the file itself tells.

    Parameters
    ----------
    path : Path
        A checkpoint; the folder of a stage or of a run, of which the last stage's is taken; a finished network
        (``segmenter.params``); or a released parameter file.
    context : mx.Context, optional
        The device; the first GPU, or the CPU without one, by default.

    Raises
    ------
    UserError
        If there is no such file, or it is damaged or of another kind.
    """
    path = named_checkpoint(Path(path))
    contexts = [context] if context else contexts_of("auto")
    if zipfile.is_zipfile(path):
        checkpoint = read_checkpoint(path)
        meta = checkpoint.meta
        net = Segmenter(meta["encoder"], meta["classes"])
        initialize_segmenter(net, contexts)
        load_network(checkpoint, "segmenter", net, path)
    else:
        encoder, classes = recognize_segmenter(path)
        net = Segmenter(encoder, classes)
        initialize_segmenter(net, contexts)
        load_released(net, path)
        meta = {"classes": classes, **description_of_parameters(path)}
        if (meta["classes"], meta.get("encoder", encoder)) != (classes, encoder):
            raise UserError(f"{path}: is of {classes} classes and encoder {encoder}: its description says otherwise")
    origin: Dict[str, Any] = {"checkpoint": str(path), "checkpoint_sha256": sha256(path), "encoder": net.encoder_name}
    origin.update({key: meta.get(key) for key in ("stage", "round", "iteration", "seed", "code")})
    return TrainedModel(
        net, _classes_of(meta, path), meta.get("short_side"), tuple(meta.get("scales", _SCALES)), origin
    )


def load_segmenter(run: Run, path: Path, checkpoint: Optional[Checkpoint] = None) -> Segmenter:
    """Build the segmenter of a checkpoint of this project; it must be of the experiment's encoder and classes."""
    checkpoint = checkpoint or read_checkpoint(path)
    _refuse_another(run, path, checkpoint.meta)
    net = new_segmenter(run)
    load_network(checkpoint, "segmenter", net, path)
    return net


def load_any_segmenter(run: Run, path: Path) -> Tuple[Segmenter, Checkpoint]:
    """Load a checkpoint of this project, or a Gluon parameter file such as a released one.

    Returns
    -------
    tuple
        The network and its checkpoint.  A parameter file holds no discriminators; where nothing beside it says of what
        stage it is, it counts as a finished model, of stage "retrain".
    """
    if path.is_file() and zipfile.is_zipfile(path):
        checkpoint = read_checkpoint(path)
        return load_segmenter(run, path, checkpoint), checkpoint
    net = new_segmenter(run)
    load_released(net, path)
    description = description_of_parameters(path)
    if description:
        _refuse_another(run, path, description)
    return net, Checkpoint({"stage": "retrain", **description}, {})


def description_of(run: Run, stage: str) -> Dict[str, Any]:
    """Return what the checkpoints of a stage say of its model, JSON values, for `load_trained` to read."""
    evaluation = run.experiment.evaluation
    adversarial = run.experiment.adversarial
    seen = {"align": adversarial.align, "output_stride": adversarial.output_stride} if stage == "adversarial" else {}
    return {
        **seen,
        "stage": stage,
        "encoder": run.experiment.model.encoder,
        "classes": len(run.classes),
        "class_names": list(run.classes.names),
        "palette": run.classes.palette.tolist(),
        "short_side": getattr(evaluation.short_side, stage),
        "scales": list(evaluation.scales),
        "seed": run.experiment.seed,
        "round": run.number,
    }


def loop_arguments(run: Run, stage: str, folder: Path) -> Dict[str, Any]:
    """Return the arguments of a `gluon_madapt.training.loop.Loop` that depend on the run."""
    return {
        "folder": folder,
        "bookkeeping": run.experiment.bookkeeping,
        "distributed": run.distributed,
        "description": description_of(run, stage),
        "made_from": manifest_inputs(folder) if run.distributed.is_main else {},
        "tensorboard": run.tensorboard,
    }


def description_of_parameters(path: Path) -> Dict[str, Any]:
    """Return what `description_of` said of the network in a parameter file; nothing where no file says it."""
    description = description_beside(path) or _description_in_checkpoint(path)
    if "class_names" not in description:
        _log.info("%s: does not say what its classes are: they are taken for those expected, in that order", path)
    return description


def _classes_of(meta: Dict[str, Any], path: Path) -> ClassSet:
    if "class_names" in meta:
        return classes_named(meta["class_names"], meta["palette"])
    try:
        return class_set(meta["classes"])
    except ValueError as error:
        raise UserError(f"{path}: does not say what its classes are: {error}") from None


def _refuse_another(run: Run, path: Path, description: Dict[str, Any]) -> None:
    """Refuse a network of another encoder, or of other classes or another order of theirs."""
    expected = {"encoder": run.experiment.model.encoder, "classes": len(run.classes)}
    for key, value in expected.items():
        if description.get(key) != value:
            raise UserError(
                f"{path}: is of a model with {key} {description.get(key)}: this experiment's has {key} {value}"
            )
    names = description.get("class_names", run.classes.names)
    for stored, name in zip(names, run.classes.names):
        if stored != name:
            raise UserError(f"{path}: is of a model with class {stored}: this experiment has {name} in its place")


def _description_in_checkpoint(path: Path) -> Dict[str, Any]:
    """Return what the checkpoint beside a finished network says, if it is of the same network.

    Older versions wrote no description of the network itself.
    """
    beside = path.with_name(CHECKPOINT)
    if path.name != PARAMETERS or not beside.is_file():
        return {}
    try:
        checkpoint = read_checkpoint(beside)
    except UserError:  # damaged
        return {}
    prefix = "segmenter/"
    same = all(
        prefix + key in checkpoint.arrays and np.array_equal(value, checkpoint.arrays[prefix + key])
        for key, value in read_arrays(path).items()
    )
    return checkpoint.meta if same else {}
