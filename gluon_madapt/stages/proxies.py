"""Stage 3: proxy labels for the target images (P §2.3).

One pass of the networks keeps, for every image, the class scores before the last upsampling and the discriminators'
maps; thresholds and labels are then computed from those, upsampled to the image's own size.
"""

import logging
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd
from tqdm import tqdm

from gluon_madapt.atomic import write_atomically
from gluon_madapt.data import Dataset, normalize, proxy_path, resize_image
from gluon_madapt.data.files import write_png
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.labels import IGNORE
from gluon_madapt.models.interpolation import resize_like
from gluon_madapt.proxies import adversarial_confidence, compute_thresholds, label_image
from gluon_madapt.stages.checkpoint import load_network
from gluon_madapt.stages.networks import load_any_segmenter, new_discriminators
from gluon_madapt.stages.run import Run, write_json

LABELS = "labels"
METRICS = "metrics.json"
CACHE = "cache"

_log = logging.getLogger(__name__)


def make_proxies(run: Run) -> None:
    """Write proxy labels for every target image to ``proxies/labels`` of the run folder, and then ``metrics.json``."""
    settings = run.experiment.proxies
    target = run.dataset("target", labelled=False)
    _check_names(target)
    start = run.checkpoint_of("adversarial")
    maps = _network_maps(run, start, target)
    with_confidence = settings.p1 < 1
    scored = ScoredImages(maps, with_confidence, run.context)
    _log.info("proxies: thresholds over %d images", len(maps))
    thresholds = compute_thresholds(scored, settings.p1, settings.p2)
    kept = np.zeros(run.experiment.classes, dtype=np.int64)
    folder = run.folder / "proxies" / LABELS
    for sample, (probabilities, confidence) in zip(target.samples, _progress(scored, "proxy labels", len(maps))):
        label = label_image(probabilities, confidence, thresholds)
        kept += np.bincount(label[label != IGNORE], minlength=len(kept))
        write_png(proxy_path(folder, sample.name), label)
    metrics = {
        "stage": "proxies",
        "checkpoint_sha256": sha256(start),
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
        What `_network_maps` stored for each image.
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
            with np.load(path, allow_pickle=False) as stored:
                arrays = {key: nd.array(stored[key], ctx=self._context) for key in stored.files if key != "size"}
                like = nd.empty((1, 1, *stored["size"]), ctx=self._context)
            logits = arrays.pop("logits")
            probabilities = nd.softmax(resize_like(nd, logits, like), axis=1)[0].asnumpy()
            confidence = np.zeros(probabilities.shape[1:], dtype=np.float32)
            if self._with_confidence:
                resized = [resize_like(nd, nd.sigmoid(one), like)[0, 0].asnumpy() for one in arrays.values()]
                confidence = adversarial_confidence(resized)
            yield probabilities, confidence


def _network_maps(run: Run, start: Path, target: Dataset) -> List[Path]:
    """Run the networks on every image that has no stored maps yet; return the files."""
    settings = run.experiment.proxies
    net, checkpoint = load_any_segmenter(run, start)
    names = [name for name in ("D1", "D2") if checkpoint.has(name)]
    if settings.p1 < 1 and not names:
        raise UserError(
            f"{start}: holds no discriminators, so adversarial confidence is unknown: only p1 = 1 is possible"
        )
    discriminators = new_discriminators(run, len(names), net.mid_channels)
    for name, discriminator in discriminators.items():
        load_network(checkpoint, name, discriminator, start)
        discriminator.hybridize()
    net.hybridize()
    # The stored maps go with the folder, which belongs to this checkpoint, these images and these settings alone.
    cache = run.open("proxies", {"checkpoint": sha256(start), "images": target.fingerprint}) / CACHE
    _forget(run.folder / "proxies" / METRICS)
    files = [cache / (sample.name + ".npz") for sample in target.samples]
    for index in _progress([i for i, file in enumerate(files) if not file.exists()], "proxy network pass"):
        image = target.image(index)
        arrays = _maps_of(net, discriminators, image, settings.size or image.shape[1::-1], run.context)
        if not all(np.isfinite(one).all() for one in arrays.values()):
            raise FailureError(f"{target.samples[index].image}: what {start} returns for it is not finite")
        with write_atomically(files[index]) as file:
            np.savez(file, **arrays, size=np.array(image.shape[:2]))
    return files


def _maps_of(net, discriminators: Dict, image: np.ndarray, size, context) -> Dict[str, np.ndarray]:
    """Return the quarter-size logits (1, L, h, w) and each discriminator's logits (1, 1, h', w') of one image."""
    batch = nd.array(normalize(resize_image(image, size))[None], ctx=context)
    logits, feature, mid = net.quarter(batch)
    seen = {"D1": feature, "D2": mid}
    maps = {name: discriminator(seen[name]) for name, discriminator in discriminators.items()}
    return {name: value.asnumpy() for name, value in dict(maps, logits=logits).items()}


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


def _progress(items, description: str, total=None):
    return tqdm(items, desc=description, total=total, unit="image", disable=None)
