"""The examination of an experiment: data, weights, device, disk and packages."""

from pathlib import Path
from typing import Iterator

from gluon_madapt.doctor.findings import ERROR, OK, Finding
from gluon_madapt.doctor.images import examine_images
from gluon_madapt.doctor.machine import examine_devices, examine_disk, examine_packages
from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.models import Segmenter
from gluon_madapt.models.weights import load_imagenet
from gluon_madapt.models.zoo import imagenet_file
from gluon_madapt.stages import Run


def examine(run: Run, full: bool = False) -> Iterator[Finding]:
    """Look at all that an experiment needs; yield what is found, as it is found.

    Parameters
    ----------
    run : Run
        The experiment and its run folder.
    full : bool
        Read every image and label; otherwise a sample of them.
    """
    yield from examine_packages()
    yield from examine_devices(run)
    yield from _guarded("weights", _examine_weights(run))
    for which in ("source", "target", "val"):
        yield from _guarded(f"data.{which}", examine_images(run, which, full))
    yield from _guarded("disk", examine_disk(run))


def _guarded(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings, and as another one the error that ends them."""
    try:
        yield from findings
    except UserError as error:
        yield Finding(ERROR, what, str(error))


def _examine_weights(run: Run) -> Iterator[Finding]:
    model = run.experiment.model
    if model.weights == "none":
        yield Finding(OK, "weights", "none: the encoder starts from random ones")
        return
    path = imagenet_file(model.encoder, model.weights)
    net = Segmenter(model.encoder, run.experiment.classes)
    net.initialize()
    load_imagenet(net, Path(path))
    yield Finding(OK, "weights", f"{path}: all parameters of {model.encoder} (SHA-256 {sha256(Path(path))})")
