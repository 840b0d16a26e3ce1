"""Runs the networks once over the target images, for proxies of any p1 and p2."""

from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.data import Dataset, normalize, resize_image
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.evaluation.adabn import adapt_to_target, how_adapted
from gluon_madapt.models import SPACES, Cells, Segmenter, Space
from gluon_madapt.models.discriminator import OUTPUT_STRIDE
from gluon_madapt.models.space import Outputs
from gluon_madapt.models.spaces import OLDEST
from gluon_madapt.precision import FLOAT32
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.runs.networks import new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.system.progress import Progress
from gluon_madapt.system.threads import in_threads
from gluon_madapt.training.checkpoint import load_network, read_meta, stored_networks


def discriminators_in(path: Path) -> Dict[str, Cells]:
    """Return the cells of the discriminators of a checkpoint, by name; {} if there are none."""
    number = len({"D1", "D2"} & stored_networks(path))
    if not number:
        return {}
    meta = read_meta(path)
    # An older version does not say it, and had the paper's stride.
    if _aligned(meta) not in SPACES:
        raise UserError(f"{path}: its discriminators look at {_aligned(meta)}, which this version does not know")
    return SPACES[_aligned(meta)].cells(number, meta.get("output_stride", OUTPUT_STRIDE))


def _aligned(meta: Dict[str, Any]) -> str:
    """Return which space the discriminators of a checkpoint look at, by what it says of itself."""
    return meta.get("align", OLDEST)


def open_cache(run: Run, start: Path, target: Dataset, folder: Path, inputs: dict) -> MapCache:
    """Open the folder of maps that the pass of a checkpoint over the target images leaves; nothing is written yet.

    Parameters
    ----------
    run : Run
        The run.
    start : Path
        The checkpoint.
    target : Dataset
        The images.
    folder : Path
        Where the maps lie.
    inputs : dict of str to str
        The hash of the checkpoint and the fingerprint of the images.
    """
    experiment = run.experiment
    made_from = dict(
        inputs,
        encoder=experiment.model.encoder,
        classes=len(run.classes),
        size=experiment.proxies.size and list(experiment.proxies.size),
        discriminators=list(discriminators_in(start)),
    )
    if experiment.proxies.adabn_batches:
        made_from["adabn"] = how_adapted(run, experiment.proxies.adabn_batches)
    if experiment.proxies.precision != FLOAT32:  # which maps of earlier versions are in, and do not say
        made_from["precision"] = experiment.proxies.precision
    return MapCache(folder, [sample.name for sample in target.samples], made_from)


def network_pass(
    run: Run, start: Path, target: Dataset, cache: MapCache, shard: Optional[Shard] = None, restart: bool = False
) -> None:
    """Run the networks on every image, or every one of a shard, that has no stored maps yet, or on all to ``restart``.

    Raises
    ------
    UserError
        If the folder holds maps of other inputs, or another process is at work on the same shard.
    FailureError
        If what the network returns is not finite.
    """
    if cache.complete and not restart:
        with suppress(UserError):  # what cannot be written can be read
            cache.record()
        return
    shard = shard or Shard()
    with cache.writing(shard, run.fresh, restart):
        missing, total = cache.missing(shard), len(cache.places(shard))
        if not missing:
            return
        networks = load_networks(run, start, run.experiment.proxies.adabn_batches)
        if run.experiment.proxies.precision != FLOAT32 and missing[0] != 0:
            networks.maps(*_input(run, target, 0))  # by which every process chooses one precision for all images
        # Images are read ahead of the network.
        threads = run.experiment.data.threads
        images = in_threads(lambda index: _input(run, target, index), missing, threads, ahead=threads)
        with Progress("proxies: network pass", total, total - len(missing)) as progress, closing(images):
            for index, (image, size) in zip(missing, images):
                maps = networks.maps(image, size)
                if not all(np.isfinite(values).all() for values in (maps.logits, *maps.discriminators)):
                    raise FailureError(f"{target.samples[index].image}: what {start} returns for it is not finite")
                cache.write(index, maps, shard)
                progress.one_more()


def _input(run: Run, target: Dataset, index: int) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Return an image as the network sees it, (3, h, w) float32, and its own (height, width)."""
    image = target.image(index)
    height, width = image.shape[:2]
    seen = resize_image(image, run.experiment.proxies.size or (width, height))
    return normalize(seen), (height, width)


def load_networks(run: Run, start: Path, adabn_batches: int = 0) -> "Networks":
    """Load the networks of a checkpoint; adapt the segmenter by AdaBN on ``adabn_batches`` batches of target images."""
    net, checkpoint = load_any_segmenter(run, start)
    if adabn_batches:
        adapt_to_target(run, net, adabn_batches)
    space = new_space(run, net, _aligned(checkpoint.meta), discriminators_in(start))
    for name, network in space.networks.items():
        load_network(checkpoint, name, network, start)
    return Networks(run, net, space)


class Networks:
    """A segmenter, its discriminators and what these look through, compiled for images of one size.

    Parameters
    ----------
    run : Run
        The run, for its device.
    net : Segmenter
        The segmenter.
    space : Space
        The discriminators, and what they have seen in training.
    """

    def __init__(self, run: Run, net: Segmenter, space: Space):
        self._context: mx.Context = run.context
        self._net, self._space = net, space
        net.compile_for_inference(run.experiment.proxies.precision)
        for network in space.networks.values():
            network.hybridize(static_alloc=True)

    def maps(self, image: np.ndarray, size: Tuple[int, int]) -> StoredMaps:
        """Return what there is to keep of a normalised image, (3, h, w) float32, of a (height, width) of its own."""
        images = nd.array(image[None], ctx=self._context)
        outputs = Outputs(*self._net.quarter(images))
        seen = self._space.named(self._space.maps(nd, outputs, images))
        source = [nd.sigmoid(network(seen[name])) for name, network in self._space.discriminators.items()]
        return StoredMaps(size, [one[0, 0].asnumpy() for one in source], outputs.scores[0].asnumpy())
