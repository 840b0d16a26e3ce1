"""Makes stage 3: proxy labels for the target images (P §2.3).

The networks see every image once (`network_pass`); the maps that are kept serve any p1 and p2.  Thresholds over all
images (`threshold_search`) and labels (`labelling`) are computed from the maps, upsampled to each image's own size.
"""

import logging
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from gluon_madapt.config import Input
from gluon_madapt.data import Dataset
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.precision import refuse_precision
from gluon_madapt.proxies import Shares
from gluon_madapt.proxy_maps.cache import MapCache, Shard
from gluon_madapt.proxy_maps.inputs import check_names, readable_target, truth_of
from gluon_madapt.proxy_maps.labelling import Labelling, label_all
from gluon_madapt.proxy_maps.network_pass import discriminators_in, network_pass, open_cache
from gluon_madapt.proxy_maps.proxy_set import ProxySet, shares_of
from gluon_madapt.proxy_maps.threshold_search import SavedSearch, find_thresholds
from gluon_madapt.run_layout import CACHE
from gluon_madapt.runs.datasets import refuse_sizes
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.ownership import refuse_other_cache
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.runs.run import Run
from gluon_madapt.system.provenance import with_this_code
from gluon_madapt.training.checkpoint import versions_behind

_log = logging.getLogger(__name__)


def make_proxies(
    run: Run,
    cache: Optional[Path] = None,
    shard: Optional[Shard] = None,
    audit: bool = False,
    also: Sequence[Shares] = (),
) -> None:
    """Write proxy labels for every target image to ``proxies/labels`` of the run folder, then thresholds and counts.

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
    start = round_of(run.experiment).labeller(run)
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    _check(runs, start, target, maps)
    if shard:
        _run_shard(run, start, target, maps, shard)
        return
    sets = _open(runs, inputs, maps.names, left_out)
    unfinished = [proxies for proxies in sets if not proxies.finished]
    unaudited = [one for one in sets if truth and not (one.finished and one.is_audited(truth[1]))]
    if unfinished or unaudited:
        restart = run.fresh and cache is None
        began = time.perf_counter()
        is_whole = len(unfinished) == 1 and (restart or len(maps.missing(Shard())) == len(maps))
        network_pass(run, start, target, maps, restart=restart)
        with maps.reading():
            if unfinished:
                _label(unfinished, maps, start, began if is_whole else None)
            if truth:
                for proxies in unaudited:
                    proxies.audit(maps, *truth)
    for proxies in sets:
        _remove(proxies.search)
        for line in proxies.summary(audit):
            _log.info("%s", line)
    _refuse_empty(sets)


def settings_folder(folder: Path, shares: Shares) -> Path:
    """Return the run folder, below that of an experiment, of the same experiment at other shares."""
    return folder / f"p1_{float(shares.p1)}_p2_{float(shares.p2)}"


def _run_at(run: Run, shares: Shares) -> Run:
    """Return the same experiment at other shares, in a folder of its own."""
    settings = run.experiment.proxies
    most = max(shares.p2, settings.p2_most)
    proxies = settings.model_copy(update=dict(shares._asdict(), p2_most=most))
    experiment = run.experiment.model_copy(update={"proxies": proxies})
    return Run(experiment, settings_folder(run.folder, shares), run.start_from, run.fresh, run.config)


def _check(runs: Sequence[Run], start: Path, target: Dataset, maps: MapCache) -> None:
    """Refuse, before anything is computed, what cannot end in proxies."""
    run, discriminators = runs[0], discriminators_in(start)
    refuse_precision(run.experiment.proxies.precision, str(run.context))
    maps.check_lengths()
    if not discriminators and min(one.experiment.proxies.p1 for one in runs) < 1:
        raise UserError(
            f"{start}: holds no discriminators, so adversarial confidence is unknown: only p1 = 1 is possible"
        )
    refuse_other_cache(maps.folder)
    seen = Input(size=run.experiment.proxies.size)
    refuse_sizes(target, seen, run.experiment.model.encoder, discriminators)


def _run_shard(run: Run, start: Path, target: Dataset, maps: MapCache, shard: Shard) -> None:
    """Run the networks over a part of the images, and say what is left to do."""
    if run.fresh:
        raise UserError(
            f"--fresh with --shard would move aside what other shards have made: move {maps.folder} away yourself"
        )
    network_pass(run, start, target, maps, shard)
    missing = len(maps.missing(Shard()))
    left = f"{missing} images are left to other shards"
    then = left if missing else "now make the labels: the same command without --shard"
    _log.info("proxies: shard %s of the network pass is done, in %s; %s", shard, maps.folder, then)


def _open(runs: Sequence[Run], inputs: Dict[str, str], names: Sequence[str], left_out: Sequence[str]) -> List[ProxySet]:
    """Open the folders of all runs; set aside label files that were altered, for their images to be labelled anew."""
    for run in runs:  # all of them, before anything is moved aside
        run.lock("proxies")
    for run in runs:
        run.open("proxies", inputs)
    sets = [ProxySet(run, Labelling(run.folder / "proxies", names, len(run.classes)), left_out) for run in runs]
    for proxies in sets:
        proxies.labelling.set_altered_aside()
    return sets


def _label(sets: Sequence[ProxySet], maps: MapCache, start: Path, began: Optional[float]) -> None:
    """Find the thresholds of sets that differ in their shares alone, and label all images by them.

    ``began`` is when this process began a single set, by `time.perf_counter`; None if not all of it is its own work.
    """
    run, labellings = sets[0].run, [proxies.labelling for proxies in sets]
    threads, shares = run.experiment.data.threads, [shares_of(proxies.run) for proxies in sets]
    saved = SavedSearch(sets[0].search, maps, shares)
    for proxies in sets:  # before the first label may change, the mark of finished ones goes
        _remove(proxies.metrics)
        _remove(proxies.record)
    if not saved.finished:  # then labels that are there may be of other thresholds
        for labelling in labellings:
            _remove(labelling.log)
    thresholds = find_thresholds(maps, shares, len(run.classes), threads, saved)
    for labelling in labellings:
        labelling.restore()
    label_all(maps, labellings, thresholds, threads)
    code = with_this_code([*versions_behind(start), *maps.versions()])
    for proxies, those in zip(sets, thresholds):
        seconds = None if began is None else round(time.perf_counter() - began, 1)
        proxies.write(maps, those, code, seconds)


def _refuse_empty(sets: Sequence[ProxySet]) -> None:
    for proxies in sets:
        if not proxies.share_labelled:
            raise FailureError(
                f"{proxies.labels}: no pixel of any image got a proxy, so stage 4 has nothing to "
                "learn from: higher p1 and p2 keep more"
            )


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()
