"""Trains stage 4: the segmenter on the proxies alone (P §2.1, §3.2), or on the labels of the source as well."""

from typing import Callable, Dict, NamedTuple, Tuple, Type

from gluon_madapt.config import Experiment, Retrain
from gluon_madapt.data import Dataset, Loader, proxy_dataset
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json
from gluon_madapt.models import Segmenter
from gluon_madapt.proxy_maps.labelling import Labelling
from gluon_madapt.run_layout import METRICS, PROXY_LABELS
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.labelled_pixels import check_labels
from gluon_madapt.runs.networks import imagenet_segmenter, new_segmenter
from gluon_madapt.runs.rounds import of_one_round
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages.self_training import SelfTrainingStep, lesson_of_both_domains
from gluon_madapt.stages.supervised import Lesson, SupervisedStep, lesson_of_one_domain, train_supervised


class Teaching(NamedTuple):
    """How stage 4 learns: from which domains, the first pass first, by what step, and what makes the lesson."""

    domains: Tuple[str, ...]
    step: Type[SupervisedStep]
    lesson: Callable[[Run, Segmenter, Retrain, Loader, Dataset], Lesson]


# By the setting retrain.learns_from.
TEACHING: Dict[str, Teaching] = {
    "proxies": Teaching(("target",), SupervisedStep, lesson_of_one_domain),
    "source_and_proxies": Teaching(("source", "target"), SelfTrainingStep, lesson_of_both_domains),
}


def domains_of(experiment: Experiment, stage: str) -> Tuple[str, ...]:
    """Return the domains whose images a training sees, the first pass first."""
    if stage == "retrain":
        return TEACHING[experiment.retrain.learns_from].domains
    return {"source": ("source",), "adversarial": ("source", "target")}[stage]


def retrain(run: Run) -> None:
    """Train F and C on target images and their proxy labels; leaves a checkpoint in ``retrain``.

    Where `retrain.learns_from` says so, they learn from the labelled source at the same time (`self_training`).  In a
    later round of proxies, they start from what the round before has retrained.
    """
    settings = of_one_round(run.experiment.retrain)
    path = run.folder / "proxies" / METRICS
    if not path.is_file():
        raise UserError(f"{path}: missing, so there are no proxy labels yet: make them with {run.command('proxies')}")
    labels, metrics = run.folder / "proxies" / PROXY_LABELS, read_json(path)
    target = run.dataset("target", labelled=False).without(metrics.get("left_out", ()))
    proxies = proxy_dataset(target, labels, len(run.classes))
    loader = run.loader_of(proxies, "retrain/target", settings.input, settings, labelled=True)
    check_inputs(run, "target", proxies)
    mend = f"higher p1 and p2 keep more: make the labels anew with {run.command('proxies')}"
    check_labels(run, proxies, str(labels), mend)
    net, start = _initial_segmenter(run)
    if "labels_sha256" not in metrics:
        raise UserError(
            f"{path}: does not say what labels were made: make them anew with {run.command('proxies')} --fresh"
        )
    if run.distributed.is_main:
        _check_proxies(run, target, metrics["labels_sha256"])
    inputs = {"proxies": metrics["labels_sha256"], "start": start}
    lesson = TEACHING[settings.learns_from].lesson(run, net, settings, loader, target)
    train_supervised("retrain", run, net, settings, lesson, inputs, metrics.get("code", ()))


def _check_proxies(run: Run, target: Dataset, digest: str) -> None:
    """Refuse proxies that are not what stage 3 has made, of the images that are there now."""
    folder = run.folder / "proxies"
    changes = run.changes_of_inputs("proxies", {"images": target.fingerprint})
    if changes:
        raise UserError(
            f"{folder}: the proxy labels were made for other images ({'; '.join(changes)}): put the images back, or "
            f"make the labels anew with {run.command('proxies')} --fresh"
        )
    names = [sample.name for sample in target.samples]
    Labelling(folder, names, len(run.classes)).check(digest, run.command("proxies"))


def _initial_segmenter(run: Run) -> Tuple[Segmenter, str]:
    """Return the network to start from, and the hash of its weights."""
    if run.number > 1:
        path = run.start_of_round()
        return load_any_segmenter(run, path)[0], sha256(path)
    init = run.experiment.retrain.init
    if init == "source":
        path = run.checkpoint_of("source")
        return load_any_segmenter(run, path)[0], sha256(path)
    if run.start_from:
        raise UserError(f"--from {run.start_from}: retrain.init is {init}: it takes a file where that is source")
    if init == "none":
        return new_segmenter(run), "none"
    if run.experiment.model.weights == "none":
        raise UserError(
            "retrain.init = imagenet needs ImageNet weights, and model.weights is none: "
            "name a file in model.weights, or zoo, or set retrain.init to source or none"
        )
    return imagenet_segmenter(run)
