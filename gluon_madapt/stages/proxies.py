"""Stage 3: proxy labels for the target images (P §2.3).

Thresholds and labels are computed from what one pass of the networks keeps of every image (`network_pass`), upsampled
to the image's own size.
"""

import hashlib
import logging
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.data import Dataset, proxy_path
from gluon_madapt.data.files import write_png
from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.labels import IGNORE
from gluon_madapt.models.interpolation import resize_like
from gluon_madapt.provenance import with_this_code
from gluon_madapt.proxies import adversarial_confidence, compute_thresholds, label_image
from gluon_madapt.stages.checkpoint import stored_networks, versions_behind
from gluon_madapt.stages.network_pass import CACHE, DISCRIMINATORS, network_pass, progress, read_maps
from gluon_madapt.stages.run import Run, move_aside, write_json

LABELS = "labels"
METRICS = "metrics.json"

_log = logging.getLogger(__name__)


def make_proxies(run: Run, cache: Optional[Path] = None) -> None:
    """Write proxy labels for every target image to ``proxies/labels`` of the run folder, and then ``metrics.json``.

    ``cache`` is the folder of the network pass, which other settings of p1 and p2 share; "cache" in the run folder by
    default.
    """
    settings = run.experiment.proxies
    target = run.dataset("target", labelled=False)
    _check_names(target)
    start = run.checkpoint_of("adversarial")
    if settings.p1 < 1 and not stored_networks(start) & set(DISCRIMINATORS):
        raise UserError(
            f"{start}: holds no discriminators, so adversarial confidence is unknown: only p1 = 1 is possible"
        )
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    if run.fresh and cache is None and (run.folder / CACHE).exists():
        move_aside(run.folder / CACHE)
    maps = network_pass(run, start, target, cache or run.folder / CACHE, inputs)
    run.open("proxies", inputs)
    _forget(run.folder / "proxies" / METRICS)
    scored = ScoredImages(maps, settings.p1 < 1, run.context)
    _log.info("proxies: thresholds over %d images", len(maps))
    thresholds = compute_thresholds(scored, settings.p1, settings.p2)
    kept, digest = np.zeros(run.experiment.classes, dtype=np.int64), hashlib.sha256()
    folder = run.folder / "proxies" / LABELS
    for sample, (probabilities, confidence) in zip(target.samples, progress(scored, "proxy labels", len(maps))):
        label = label_image(probabilities, confidence, thresholds)
        kept += np.bincount(label[label != IGNORE], minlength=len(kept))
        digest.update(label.tobytes())
        write_png(proxy_path(folder, sample.name), label)
    metrics = {
        "stage": "proxies",
        "checkpoint_sha256": inputs["checkpoint"],
        "code": with_this_code(versions_behind(start)),
        "seed": run.experiment.seed,
        "labels_sha256": digest.hexdigest(),
        "images": len(target),
        "p1": settings.p1,
        "p2": settings.p2,
        "t1": float(thresholds.t1),
        "t2": {name: float(value) for name, value in zip(run.classes.names, thresholds.t2)},
        "share_labelled": float(kept.sum() / thresholds.pixels),
        "pixels": thresholds.pixels,
        "pixels_kept": {name: int(value) for name, value in zip(run.classes.names, kept)},
    }
    write_json(run.folder / "proxies" / METRICS, metrics)
    _log.info("proxies: %.1f%% of all pixels labelled, in %s", 100 * metrics["share_labelled"], folder)


class ScoredImages:
    """Class probabilities and adversarial confidence of the target images, at their own sizes; can be iterated again.

    Parameters
    ----------
    maps : list of Path
        What `network_pass` stored for each image.
    with_confidence : bool
        Without, every pixel's confidence is 0, and p1 = 1 keeps them all.
    context : mx.Context
        Where to upsample.
    """

    def __init__(self, maps: List[Path], with_confidence: bool, context: mx.Context):
        self._maps = maps
        self._with_confidence = with_confidence
        self._context = context

    def __iter__(self) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        """Yield (L, H, W) probabilities and (H, W) confidence, float32."""
        for path in self._maps:
            stored = read_maps(path)
            like = nd.empty((1, 1, *stored.pop("size")), ctx=self._context)
            arrays = {key: nd.array(value, ctx=self._context) for key, value in stored.items()}
            logits = arrays.pop("logits")
            probabilities = nd.softmax(resize_like(nd, logits, like), axis=1)[0].asnumpy()
            confidence = np.zeros(probabilities.shape[1:], dtype=np.float32)
            if self._with_confidence:
                resized = [resize_like(nd, nd.sigmoid(one), like)[0, 0].asnumpy() for one in arrays.values()]
                confidence = adversarial_confidence(resized)
            yield probabilities, confidence


def _forget(metrics: Path) -> None:
    """Drop the mark of finished labels before the first of them may change."""
    if metrics.exists():
        metrics.unlink()


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
