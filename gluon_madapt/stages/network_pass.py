"""The one pass of the networks over the target images that proxies of any p1 and p2 are made from."""

from pathlib import Path
from typing import Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.data import Dataset, normalize, resize_image
from gluon_madapt.errors import FailureError
from gluon_madapt.stages.checkpoint import load_network, stored_networks
from gluon_madapt.stages.map_cache import MapCache, Shard, StoredMaps
from gluon_madapt.stages.networks import load_any_segmenter, new_discriminators
from gluon_madapt.stages.progress import Progress
from gluon_madapt.stages.run import Run

DISCRIMINATORS = ("D1", "D2")


def open_cache(run: Run, start: Path, target: Dataset, folder: Path, inputs: dict) -> MapCache:
    """Name what the pass of a checkpoint over the target images keeps, or is to keep, in a folder.

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
        classes=experiment.classes,
        size=experiment.proxies.size and list(experiment.proxies.size),
        discriminators=[name for name in DISCRIMINATORS if name in stored_networks(start)],
    )
    return MapCache(folder, [sample.name for sample in target.samples], made_from)


def network_pass(run: Run, start: Path, target: Dataset, cache: MapCache, shard: Optional[Shard] = None) -> None:
    """Run the networks on every image, or every one of a shard, that has no stored maps yet.

    Raises
    ------
    UserError
        If the folder holds maps of other inputs, or another process is at work on the same shard.
    FailureError
        If what the network returns is not finite.
    """
    shard = shard or Shard()
    size = run.experiment.proxies.size
    with cache.writing(shard, run.fresh):
        missing, total = cache.missing(shard), len(cache.places(shard))
        if not missing:
            return
        networks = Networks(run, start)
        with Progress("proxies: network pass", total, total - len(missing)) as progress:
            for index in missing:
                image = target.image(index)
                maps = networks.maps(image, size or image.shape[1::-1])
                if not all(np.isfinite(one).all() for one in (maps.logits, *maps.discriminators)):
                    raise FailureError(f"{target.samples[index].image}: what {start} returns for it is not finite")
                cache.write(index, maps, shard)
                progress.one_more()


class Networks:
    """The segmenter and the discriminators of a checkpoint.

    Parameters
    ----------
    run : Run
        The run.
    start : Path
        The checkpoint.
    """

    def __init__(self, run: Run, start: Path):
        self._context: mx.Context = run.context
        self._net, checkpoint = load_any_segmenter(run, start)
        self._net.hybridize()
        names = [name for name in DISCRIMINATORS if checkpoint.has(name)]
        self._discriminators = new_discriminators(run, len(names), self._net.mid_channels)
        for name, discriminator in self._discriminators.items():
            load_network(checkpoint, name, discriminator, start)
            discriminator.hybridize()

    def maps(self, image: np.ndarray, size: Sequence[int]) -> StoredMaps:
        """Return what there is to keep of an image, (H, W, 3) uint8, seen at ``size``, (width, height)."""
        batch = nd.array(normalize(resize_image(image, size))[None], ctx=self._context)
        logits, feature, mid = self._net.quarter(batch)
        seen = {"D1": feature, "D2": mid}
        source = [nd.sigmoid(discriminator(seen[name])) for name, discriminator in self._discriminators.items()]
        return StoredMaps(image.shape[:2], [one[0, 0].asnumpy() for one in source], logits[0].asnumpy())
