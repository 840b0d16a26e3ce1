"""A trained model, with all that it takes to use it: what a checkpoint says of itself, or a parameter file shows."""

import zipfile
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import ClassSet, class_set
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.descriptions import description_of_parameters
from gluon_madapt.runs.manifest import manifest_inputs
from gluon_madapt.runs.named_checkpoints import named_checkpoint
from gluon_madapt.runs.networks import initialize_segmenter
from gluon_madapt.runs.run import Run
from gluon_madapt.system.devices import contexts_of
from gluon_madapt.training.checkpoint import load_network, read_checkpoint
from gluon_madapt.weights.loading import load_released, recognize_segmenter

# Of the released code, where a file says nothing of its evaluation.
_SCALES = (0.7, 1.0, 1.3)


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


def description_of(run: Run, stage: str) -> Dict[str, Any]:
    """Return what the checkpoints of a stage say of its model, JSON values, for `load_trained` to read."""
    evaluation = run.experiment.evaluation
    return {
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
    """Return what a `gluon_madapt.training.loop.Loop` is told of the run that it trains in."""
    return {
        "folder": folder,
        "bookkeeping": run.experiment.bookkeeping,
        "distributed": run.distributed,
        "description": description_of(run, stage),
        "made_from": manifest_inputs(folder) if run.distributed.is_main else {},
        "tensorboard": run.tensorboard,
    }


def load_trained(path: Path, context: Optional[mx.Context] = None) -> TrainedModel:
    """Load a model without being told its encoder or classes.

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
            raise UserError(f"{path}: is of {classes} classes and encoder {encoder}, and not of what is said beside it")
    origin = {"checkpoint": str(path), "checkpoint_sha256": sha256(path), "encoder": net.encoder_name}
    origin.update({key: meta.get(key) for key in ("stage", "round", "iteration", "seed", "code")})
    return TrainedModel(
        net, _classes_of(meta, path), meta.get("short_side"), tuple(meta.get("scales", _SCALES)), origin
    )


def _classes_of(meta: Dict[str, Any], path: Path) -> ClassSet:
    if "class_names" in meta:
        names = tuple(meta["class_names"])
        published = [known.label_ids for known in map(class_set, (19, 16)) if known.names == names]
        return ClassSet(names, np.array(meta["palette"], dtype=np.uint8), *(published or [{}]))
    try:
        return class_set(meta["classes"])
    except ValueError as error:
        raise UserError(f"{path}: does not say what its classes are: {error}") from None
