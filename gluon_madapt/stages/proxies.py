"""Stage 3: proxy labels for the target images (P §2.3).

The networks see every image once (`network_pass`); what is kept of that serves any p1 and p2.  Thresholds over all
images (`threshold_scans`) and labels (`proxy_labels`) are computed from it, upsampled to each image's own size.
"""

import logging
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from gluon_madapt.config import Experiment
from gluon_madapt.data import Dataset, proxy_path
from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.provenance import with_this_code
from gluon_madapt.proxies import Shares, Thresholds
from gluon_madapt.stages.checkpoint import versions_behind
from gluon_madapt.stages.map_cache import CACHE, MapCache, Shard
from gluon_madapt.stages.network_pass import network_pass, open_cache
from gluon_madapt.stages.proxy_labels import LABELS, Labelling, Truth, label_all
from gluon_madapt.stages.run import Run, move_aside, read_json, write_json
from gluon_madapt.stages.threshold_scans import SavedSearch, find_thresholds

METRICS = "metrics.json"
RECORD = "proxies.json"
_SEARCH = "search.npz"

_log = logging.getLogger(__name__)


def settings_folder(folder: Path, shares: Shares) -> Path:
    """Return the run folder, below that of an experiment, of the same experiment at other shares."""
    return folder / f"p1_{float(shares.p1)}_p2_{float(shares.p2)}"


def shares_of(experiment: Experiment) -> Shares:
    """Return p1 and p2 of an experiment."""
    return Shares(experiment.proxies.p1, experiment.proxies.p2)


def make_proxies(
    run: Run,
    cache: Optional[Path] = None,
    shard: Optional[Shard] = None,
    audit: bool = False,
    also: Sequence[Shares] = (),
) -> None:
    """Write proxy labels for every target image to ``proxies/labels`` of the run folder, and then what came out.

    Parameters
    ----------
    run : Run
        The run.
    cache : Path, optional
        The folder of the network pass; "cache" in the run folder by default.
    shard : Shard, optional
        Run the networks over this part of the images, and make no labels.
    audit : bool
        Compare the labels with those of the target, which are not read otherwise.
    also : sequence of Shares
        Other settings to make labels of, each in `settings_folder`; they share the work.

    Raises
    ------
    UserError
        If the checkpoint is missing or holds no discriminators and p1 is below 1, two images' labels would be one file,
        labels to compare with are missing, or a folder holds what was made otherwise.
    FailureError
        If what the networks return for an image is not finite.
    """
    runs = [run, *(_run_at(run, shares) for shares in dict.fromkeys(also))]
    target = run.dataset("target", labelled=False)
    truth = _truth(run, target) if audit else None
    _check_names(target)
    start = run.checkpoint_of("adversarial")
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    _check_shares(runs, start, maps)
    if shard:
        _run_shard(run, start, target, maps, shard)
        return
    if run.fresh and cache is None and maps.folder.exists():
        move_aside(maps.folder)
    for one in runs:
        one.open("proxies", inputs)
    left = [one for one in runs if not _is_made(one, target, audit)]
    if left:
        network_pass(run, start, target, maps)
        _make(left, maps, start, truth)
    for one in runs:
        _remove(one.folder / "proxies" / _SEARCH)
        _log.info("%s", _in_words(one))


def _make(runs: Sequence[Run], cache: MapCache, start: Path, truth: Optional[Truth]) -> None:
    """Make the labels of runs that differ in their shares alone."""
    folders = [one.folder / "proxies" for one in runs]
    classes, threads = len(runs[0].classes), runs[0].experiment.data.threads
    labellings = [Labelling(folder, classes, truth is not None) for folder in folders]
    settings = [shares_of(one.experiment) for one in runs]
    saved = SavedSearch(folders[0] / _SEARCH, cache, settings)
    for folder in folders:  # before the first label may change, the mark of finished ones goes
        _remove(folder / METRICS)
        _remove(folder / RECORD)
    if not saved.finished:  # then labels that are there may be of other thresholds
        for labelling in labellings:
            _remove(labelling.log)
    thresholds = find_thresholds(cache, settings, classes, threads, saved)
    for labelling in labellings:
        labelling.restore()
    label_all(cache, labellings, thresholds, threads, truth)
    for one, labelling, found in zip(runs, labellings, thresholds):
        record = _record(one, cache, labelling, found, audited=truth is not None)
        _warn(one, found)
        metrics = {
            "stage": "proxies",
            "code": with_this_code(versions_behind(start)),
            "seed": one.experiment.seed,
            "labels_sha256": record["labels_sha256"],
            "images": len(cache),
            "share_labelled": record["share_labelled"],
        }
        write_json(labelling.folder / RECORD, record)
        write_json(labelling.folder / METRICS, metrics)  # last: it marks labels that are finished


def _record(run: Run, cache: MapCache, labelling: Labelling, found: Thresholds, audited: bool) -> Dict[str, Any]:
    """Return what proxies.json says."""
    shares, kept, focused = shares_of(run.experiment), labelling.kept(), found.focused

    def by_class(values) -> Dict[str, Any]:
        return {name: value.item() for name, value in zip(run.classes.names, values)}

    record = {
        "made_from": cache.made_from,
        "seed": run.experiment.seed,
        "images": len(cache),
        "pixels": found.pixels,
        "p1": shares.p1,
        "p2": shares.p2,
        "t1": float(found.t1),
        "t2": by_class(found.t2),
        "pixels_focused": int(focused.sum()),
        "pixels_focused_by_class": by_class(focused),
        "pixels_kept": int(kept.sum()),
        "pixels_kept_by_class": by_class(kept),
        "share_labelled": float(kept.sum() / found.pixels),
        "ties": {
            "t1": found.ties_t1 / found.pixels,
            "t2": by_class(found.ties_t2 / np.maximum(focused, 1)),
        },
        "labels_sha256": labelling.digest(cache.names),
    }
    if audited:
        record["audit"] = labelling.audit().report(run.classes.names)
    return record


def _warn(run: Run, found: Thresholds) -> None:
    """Say what classes were lost to probabilities that float32 cannot tell from 1."""
    for name, t2, focused, ties in zip(run.classes.names, found.t2, found.focused, found.ties_t2):
        if focused and t2 == 1:
            _log.warning(
                "%s: no proxies of class %s: %.0f%% of its %d pixels have a probability of 1, and p2 = %s keeps less",
                run.folder / "proxies", name, 100 * ties / focused, focused, shares_of(run.experiment).p2,
            )  # fmt: skip


def _in_words(run: Run) -> str:
    record = read_json(run.folder / "proxies" / RECORD)
    text = (
        f"proxies: {100 * record['share_labelled']:.1f}% of all pixels labelled, in {run.folder / 'proxies' / LABELS}"
    )
    for group, found in record.get("audit", {}).items():
        if found["pixels"]:
            text += f"; {group.replace('_', ' ')} {100 * found['accuracy']:.1f}% right"
    return text


def _is_made(run: Run, target: Dataset, audit: bool) -> bool:
    """Tell whether all labels of a run are there, compared with the truth if that is asked for."""
    folder = run.folder / "proxies"
    if not ((folder / METRICS).exists() and (folder / RECORD).exists()):
        return False
    made = all(proxy_path(folder / LABELS, sample.name).exists() for sample in target.samples)
    return made and (not audit or "audit" in read_json(folder / RECORD))


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()


def _run_shard(run: Run, start: Path, target: Dataset, cache: MapCache, shard: Shard) -> None:
    if run.fresh:
        raise UserError(
            f"--fresh with --shard would move aside what other shards have made: move {cache.folder} away yourself"
        )
    network_pass(run, start, target, cache, shard)
    missing = len(cache.missing(Shard()))
    then = f"{missing} images are left to other shards" if missing else f"now make the labels: {run.command('proxies')}"
    _log.info("proxies: shard %s of the network pass is done, in %s; %s", shard, cache.folder, then)


def _run_at(run: Run, shares: Shares) -> Run:
    """Return the same experiment at other shares, in a folder of its own."""
    proxies = run.experiment.proxies.model_copy(update=shares._asdict())
    experiment = run.experiment.model_copy(update={"proxies": proxies})
    return Run(experiment, settings_folder(run.folder, shares), run.start_from, run.fresh)


def _check_shares(runs: Sequence[Run], start: Path, cache: MapCache) -> None:
    if min(shares_of(one.experiment).p1 for one in runs) < 1 and not cache.made_from["discriminators"]:
        raise UserError(
            f"{start}: holds no discriminators, so adversarial confidence is unknown: only p1 = 1 is possible"
        )


def _truth(run: Run, target: Dataset) -> Truth:
    """Return what reads the true labels of target images, for an audit alone."""
    labelled = run.dataset("target", labelled=True)
    places = {sample.name: index for index, sample in enumerate(labelled.samples)}

    def read(index: int) -> Optional[np.ndarray]:
        name = target.samples[index].name
        return labelled.label(places[name]) if name in places else None

    return read


def _check_names(target: Dataset) -> None:
    """Refuse two images whose proxies would be one file."""
    seen: Dict[Path, str] = {}
    for sample in target.samples:
        path = proxy_path(Path(), sample.name)
        if path in seen:
            raise UserError(
                f"{seen[path]} and {sample.name}: their proxy labels would both be {path}: rename one of them"
            )
        seen[path] = sample.name
