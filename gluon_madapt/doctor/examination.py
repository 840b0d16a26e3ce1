"""Examines an experiment: its data, weights, device, disk and packages."""

from typing import Iterator

from gluon_madapt.doctor.cells import examine_cells
from gluon_madapt.doctor.findings import ERROR, OK, Finding
from gluon_madapt.doctor.images import examine_images
from gluon_madapt.doctor.machine import examine_devices, examine_disk, examine_packages, training_inputs
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.run_layout import CACHE, STAGES
from gluon_madapt.runs.datasets import cells_of, refuse_sizes
from gluon_madapt.runs.networks import new_segmenter
from gluon_madapt.runs.ownership import refuse_other_cache, refuse_other_stage
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.stages import Run
from gluon_madapt.stages.adversarial import refuse_weights
from gluon_madapt.weights.loading import load_imagenet
from gluon_madapt.weights.zoo import imagenet_file


def examine(run: Run, full: bool = False) -> Iterator[Finding]:
    """Look at all that an experiment needs; yield each finding at once.

    Parameters
    ----------
    run : Run
        The experiment and its run folder.
    full : bool
        Read every image and label; otherwise a sample of them.
    """
    yield from examine_packages()
    missing = False
    for finding in _guarded("device", examine_devices(run)):
        missing |= finding.what == "device" and finding.level == ERROR
        yield finding
    yield from _guarded("weights", _examine_weights(run.anywhere()))
    yield from _guarded("training", _examine_trainings(run.anywhere() if missing else run))
    for which in ("source", "target", "val"):
        yield from _guarded(f"data.{which}", examine_images(run, which, full))
    yield from _guarded("run folder", _examine_folders(run))
    yield from _guarded("disk", examine_disk(run))


def _guarded(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings, and as another one the error that ends them."""
    try:
        yield from findings
    except UserError as error:
        yield Finding(ERROR, what, str(error))


def _examine_folders(run: Run) -> Iterator[Finding]:
    """Try what the stages would refuse to write to; say nothing where they would not."""
    for stage in STAGES:
        refuse_other_stage(run.folder / stage)
    refuse_other_cache(run.folder / CACHE)
    yield from ()


def _examine_weights(run: Run) -> Iterator[Finding]:
    model = run.experiment.model
    if model.weights == "none":
        yield Finding(OK, "weights", "none: the encoder starts from random ones")
        return
    if model.weights == "zoo":
        yield Finding(OK, "weights", "zoo: GluonCV's are fetched and checked at the start of stage 1")
        return
    path = imagenet_file(model.encoder, model.weights)
    load_imagenet(new_segmenter(run), path)
    yield Finding(OK, "weights", f"{path}: all parameters of {model.encoder} (SHA-256 {sha256(path)})")


def _examine_trainings(run: Run) -> Iterator[Finding]:
    """Try what a training would refuse at its start."""
    if run.experiment.bookkeeping.eval_every and run.experiment.data.val is None:
        yield Finding(ERROR, "training", "bookkeeping.eval_every is set and data.val is not: there is nothing to score")
    trainings = round_of(run.experiment).trainings
    if "adversarial" in trainings:
        refuse_weights(run.experiment.adversarial)
    for stage in trainings:
        settings = getattr(run.experiment, stage)
        run.distributed.images_per_part(settings)
        for seen, which in training_inputs(run, stage):
            try:
                dataset = run.dataset(which, labelled=False)
            except UserError:  # which is found under data
                continue
            refuse_sizes(dataset, seen, run.experiment.model.encoder, cells_of(settings))
    if "adversarial" in trainings:
        yield from examine_cells(run)
