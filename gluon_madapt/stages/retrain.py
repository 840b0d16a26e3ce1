"""Stage 4: training on the proxies alone (P §2.1, §3.2)."""

from gluon_madapt.data import proxy_dataset
from gluon_madapt.errors import UserError
from gluon_madapt.models import Segmenter
from gluon_madapt.stages.networks import load_segmenter, new_segmenter
from gluon_madapt.stages.proxies import LABELS
from gluon_madapt.stages.run import Run
from gluon_madapt.stages.supervised import train_supervised


def retrain(run: Run) -> None:
    """Train F and C on target images and their proxy labels; leaves a checkpoint in ``retrain``."""
    settings = run.experiment.retrain
    labels = run.folder / "proxies" / LABELS
    if not labels.is_dir():
        raise UserError(f"{labels}: missing, the proxy labels of this run: make them with {run.command('proxies')}")
    proxies = proxy_dataset(run.dataset("target", labelled=False), labels, run.experiment.classes)
    loader = run.loader_of(proxies, "retrain/target", settings.input, settings.batch_size, labelled=True)
    net = _initial_segmenter(run)
    folder = run.open("retrain")
    train_supervised("retrain", run, folder, net, settings, loader)


def _initial_segmenter(run: Run) -> Segmenter:
    init = run.experiment.retrain.init
    if init == "source":
        return load_segmenter(run, run.checkpoint_of("source"))
    if init == "imagenet" and run.experiment.model.weights == "none":
        raise UserError(
            "retrain.init = imagenet needs ImageNet weights, and model.weights is none: "
            "name a file in model.weights, or set retrain.init to source or none"
        )
    return new_segmenter(run, run.experiment.model.weights if init == "imagenet" else "none")
