"""The one pass of the networks over the target images that proxies of any p1 and p2 are made from.

It keeps, for every image, the class scores before the last upsampling and the discriminators' maps: a few megabytes.
"""

import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import nd
from tqdm import tqdm

from gluon_madapt.atomic import write_atomically
from gluon_madapt.data import Dataset, normalize, resize_image
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.stages.checkpoint import DAMAGED_ARCHIVE, load_network
from gluon_madapt.stages.networks import load_any_segmenter, new_discriminators
from gluon_madapt.stages.run import Run, move_aside, read_json, write_json

CACHE = "cache"
DISCRIMINATORS = ("D1", "D2")
_MADE_FROM = "inputs.json"


def network_pass(run: Run, start: Path, target: Dataset, folder: Path, inputs: Dict[str, str]) -> List[Path]:
    """Run the networks on every image that has no stored maps yet.

    Parameters
    ----------
    run : Run
        The run.
    start : Path
        The checkpoint.
    target : Dataset
        The images.
    folder : Path
        Where the maps go; those that are there already count if they are of the same inputs.
    inputs : dict of str to str
        The hash of the checkpoint and the fingerprint of the images.

    Returns
    -------
    list of Path
        A NumPy archive per image, in their order: ``logits`` (1, L, h, w) at a quarter of the network's input, ``D1``
        and ``D2`` (1, 1, h', w') logits of each discriminator that there is, float32; ``size``, (H, W) of the image.

    Raises
    ------
    UserError
        If the folder holds maps of other inputs.
    FailureError
        If what the network returns is not finite.
    """
    with _alone_in(folder):
        return _complete(run, start, target, folder, inputs)


def read_maps(path: Path) -> Dict[str, np.ndarray]:
    """Read what `network_pass` kept of an image.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except DAMAGED_ARCHIVE as error:
        raise UserError(f"{path}: is damaged ({error}): delete it, and make the proxies again") from None


def progress(items: Iterable, description: str, total: Optional[int] = None) -> tqdm:
    """Show a bar over images."""
    return tqdm(items, desc=description, total=total, unit="image", disable=None)


def _complete(run: Run, start: Path, target: Dataset, folder: Path, inputs: Dict[str, str]) -> List[Path]:
    size = run.experiment.proxies.size
    _claim(folder, dict(inputs, size=size and list(size)), run.fresh)
    files = [folder / (sample.name + ".npz") for sample in target.samples]
    missing = [index for index, file in enumerate(files) if not file.exists()]
    networks = _Networks(run, start) if missing else None
    for index in progress(missing, "proxy network pass"):
        image = target.image(index)
        arrays = networks.maps(image, size or image.shape[1::-1])
        if not all(np.isfinite(one).all() for one in arrays.values()):
            raise FailureError(f"{target.samples[index].image}: what {start} returns for it is not finite")
        with write_atomically(files[index]) as file:
            np.savez(file, **arrays, size=np.array(image.shape[:2]))
    return files


class _Networks:
    def __init__(self, run: Run, start: Path):
        self._context: mx.Context = run.context
        self._net, checkpoint = load_any_segmenter(run, start)
        self._net.hybridize()
        names = [name for name in DISCRIMINATORS if checkpoint.has(name)]
        self._discriminators = new_discriminators(run, len(names), self._net.mid_channels)
        for name, discriminator in self._discriminators.items():
            load_network(checkpoint, name, discriminator, start)
            discriminator.hybridize()

    def maps(self, image: np.ndarray, size: Sequence[int]) -> Dict[str, np.ndarray]:
        """Return what there is to keep of an image, (H, W, 3) uint8, seen at ``size``, (width, height)."""
        batch = nd.array(normalize(resize_image(image, size))[None], ctx=self._context)
        logits, feature, mid = self._net.quarter(batch)
        seen = {"D1": feature, "D2": mid}
        maps = {name: discriminator(seen[name]) for name, discriminator in self._discriminators.items()}
        return {name: value.asnumpy() for name, value in dict(maps, logits=logits).items()}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is at a pass in this folder: settings that share it may be computed side by side."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, or the process ends
        yield


def _claim(folder: Path, made_from: Dict[str, Any], fresh: bool) -> None:
    """Take a folder for maps of certain inputs; maps of other ones are moved aside if ``fresh``, or an error."""
    record = folder / _MADE_FROM
    if record.exists():
        before = read_json(record)
        differing = [key for key in made_from if before.get(key) != made_from[key]]
        if not differing:
            return
        if not fresh:
            raise UserError(
                f"{folder}: holds the network's maps of another {' and '.join(differing)}: "
                "give --fresh to move them aside, or another --cache"
            )
        move_aside(folder)
    write_json(record, made_from)
