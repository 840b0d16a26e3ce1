"""Stage 3: proxy labels for the target images (P §2.3).

The networks see every image once (`network_pass`); what is kept of that serves any p1 and p2.  Thresholds over all
images (`threshold_scans`) and labels (`proxy_labels`) are computed from it, upsampled to each image's own size.
"""

import logging
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from gluon_madapt.config import Experiment, Input
from gluon_madapt.data import Dataset
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json, write_json
from gluon_madapt.proxies import Shares, Thresholds
from gluon_madapt.proxy_maps.cache import MapCache, Shard
from gluon_madapt.proxy_maps.inputs import check_names, readable_target, truth_of
from gluon_madapt.proxy_maps.labelling import Labelling, Truth, audit_labels, label_all
from gluon_madapt.proxy_maps.network_pass import network_pass, open_cache
from gluon_madapt.proxy_maps.threshold_search import SavedSearch, find_thresholds
from gluon_madapt.run_layout import CACHE, METRICS, PROXY_LABELS, PROXY_RECORD
from gluon_madapt.runs.datasets import refuse_sizes
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.ownership import refuse_other_cache
from gluon_madapt.runs.run import Run
from gluon_madapt.system.provenance import with_this_code
from gluon_madapt.training.checkpoint import versions_behind

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
        If what the networks return for an image is not finite; at the end, if no pixel got a proxy.
    """
    run = run.alone("make proxies in a process of its own, or give several --shard I/N")
    runs = [run, *(_run_at(run, shares) for shares in dict.fromkeys(also))]
    target, left_out = readable_target(run)
    check_inputs(run, "target", target)
    truth = truth_of(run, target) if audit else None
    check_names(target, run.folder)
    start = run.checkpoint_of("adversarial")
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    maps.check_lengths()
    _check_shares(runs, start, maps)
    refuse_other_cache(maps.folder)
    seen = Input(size=run.experiment.proxies.size)
    refuse_sizes(target, seen, run.experiment.model.encoder, len(maps.made_from["discriminators"]))
    if shard:
        _run_shard(run, start, target, maps, shard)
        return
    for one in runs:  # all of them, before anything is moved aside
        one.lock("proxies")
    for one in runs:
        one.open("proxies", inputs)
    names = maps.names
    made = [_Made(one, Labelling(one.folder / "proxies", names, len(run.classes)), left_out) for one in runs]
    for one in made:
        one.labelling.set_altered_aside()
    left = [one for one in made if not one.finished]
    if left or (audit and not all(one.audited for one in made)):
        network_pass(run, start, target, maps, restart=run.fresh and cache is None)
        with maps.reading():
            if left:
                _make(left, maps, start)
            for one in made:
                if audit and not one.audited:
                    _audit(one, maps, truth)
    for one in made:
        _remove(one.search)
        _log.info("%s", _in_words(one))
    empty = [one for one in made if not read_json(one.record)["share_labelled"]]
    if empty:
        raise FailureError(
            f"{empty[0].labelling.folder / PROXY_LABELS}: no pixel of any image got a proxy, so stage 4 has nothing to "
            "learn from: higher p1 and p2 keep more"
        )


class _Made(NamedTuple):
    """What a run makes, or has made."""

    run: Run
    labelling: Labelling
    left_out: Sequence[str]

    @property
    def metrics(self) -> Path:
        """What marks that all is made."""
        return self.labelling.folder / METRICS

    @property
    def record(self) -> Path:
        return self.labelling.folder / PROXY_RECORD

    @property
    def search(self) -> Path:
        """The counts of a search that is not done with."""
        return self.labelling.folder / _SEARCH

    @property
    def finished(self) -> bool:
        labels = (self.labelling.path(name) for name in self.labelling.names)
        return self.metrics.exists() and self.record.exists() and all(one.exists() for one in labels)

    @property
    def audited(self) -> bool:
        return self.record.exists() and "audit" in read_json(self.record)


def _make(made: Sequence[_Made], cache: MapCache, start: Path) -> None:
    """Make the labels of runs that differ in their shares alone."""
    runs, labellings = [one.run for one in made], [one.labelling for one in made]
    threads, settings = runs[0].experiment.data.threads, [shares_of(one.experiment) for one in runs]
    saved = SavedSearch(made[0].search, cache, settings)
    for one in made:  # before the first label may change, the mark of finished ones goes
        _remove(one.metrics)
        _remove(one.record)
    if not saved.finished:  # then labels that are there may be of other thresholds
        for one in labellings:
            _remove(one.log)
    thresholds = find_thresholds(cache, settings, len(runs[0].classes), threads, saved)
    for one in labellings:
        one.restore()
    label_all(cache, labellings, thresholds, threads)
    code = with_this_code([*versions_behind(start), *cache.versions()])
    for one, found in zip(made, thresholds):
        record = _record(one.run, cache, one.labelling, found)
        _warn(one.run, found)
        metrics = {
            "stage": "proxies",
            "code": code,
            "seed": one.run.experiment.seed,
            "labels_sha256": record["labels_sha256"],
            "images": len(cache),
            "share_labelled": record["share_labelled"],
            "left_out": list(one.left_out),
        }
        write_json(one.record, record)
        write_json(one.metrics, metrics)  # last


def _audit(made: _Made, cache: MapCache, truth: Truth) -> None:
    """Add to the record what the truth says of the labels."""
    made.labelling.restore()
    record, threads = read_json(made.record), made.run.experiment.data.threads
    audit = audit_labels(cache, made.labelling, thresholds_of(record), threads, truth)
    write_json(made.record, dict(record, audit=audit.report(made.run.classes.names)))


def thresholds_of(record: Dict[str, Any]) -> Thresholds:
    """Return the thresholds that proxies.json holds."""
    focused = np.array(list(record["pixels_focused_by_class"].values()))
    ties = np.array(list(record["ties"]["t2"].values())) * focused
    return Thresholds(
        np.float32(record["t1"]),
        np.array(list(record["t2"].values()), dtype=np.float32),
        record["pixels"],
        focused,
        round(record["ties"]["t1"] * record["pixels"]),
        ties.round().astype(np.int64),
    )


def _record(run: Run, cache: MapCache, labelling: Labelling, found: Thresholds) -> Dict[str, Any]:
    """Return what proxies.json says."""
    shares, kept, focused = shares_of(run.experiment), labelling.kept(), found.focused

    def by_class(values) -> Dict[str, Any]:
        return {name: value.item() for name, value in zip(run.classes.names, values)}

    return {
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
        "labels_sha256": labelling.digest(),
    }


def _warn(run: Run, found: Thresholds) -> None:
    """Say what classes were lost to probabilities that float32 cannot tell from 1."""
    for name, t2, focused, ties in zip(run.classes.names, found.t2, found.focused, found.ties_t2):
        if focused and t2 == 1:
            _log.warning(
                "%s: no proxies of class %s: %.0f%% of its %d pixels have a probability of 1, and p2 = %s keeps less",
                run.folder / "proxies", name, 100 * ties / focused, focused, shares_of(run.experiment).p2,
            )  # fmt: skip


def _in_words(made: _Made) -> str:
    record = read_json(made.record)
    share, where = 100 * record["share_labelled"], made.labelling.folder / PROXY_LABELS
    text = f"proxies: {share:.1f}% of all pixels labelled, in {where}"
    for group, found in record.get("audit", {}).items():
        if found["pixels"]:
            text += f"; {group.replace('_', ' ')} {100 * found['accuracy']:.1f}% right"
    return text


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
    left = f"{missing} images are left to other shards"
    then = left if missing else "now make the labels: the same command without --shard"
    _log.info("proxies: shard %s of the network pass is done, in %s; %s", shard, cache.folder, then)


def _run_at(run: Run, shares: Shares) -> Run:
    """Return the same experiment at other shares, in a folder of its own."""
    proxies = run.experiment.proxies.model_copy(update=shares._asdict())
    experiment = run.experiment.model_copy(update={"proxies": proxies})
    return Run(experiment, settings_folder(run.folder, shares), run.start_from, run.fresh, run.config)


def _check_shares(runs: Sequence[Run], start: Path, cache: MapCache) -> None:
    if min(shares_of(one.experiment).p1 for one in runs) < 1 and not cache.made_from["discriminators"]:
        raise UserError(
            f"{start}: holds no discriminators, so adversarial confidence is unknown: only p1 = 1 is possible"
        )
