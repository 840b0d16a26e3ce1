"""Says what is odd about an experiment's images, before anything is learnt from them."""

import logging
from typing import Iterator, Sequence

from gluon_madapt.data.file_types import few
from gluon_madapt.data.layouts import find, find_samples
from gluon_madapt.data.mix_ups import labels_among, shared_images
from gluon_madapt.errors import UserError
from gluon_madapt.runs.run import Run

_log = logging.getLogger(__name__)
_LEARNT = {"source": "was trained on", "target": "was adapted to"}


def warn_of_data(run: Run, *sets: str, shared: Sequence[str] = ()) -> None:
    """Log what there is to say of some sets, and of what val shares with them and with ``shared``.

    Of several workers of a training one does.
    """
    if not run.distributed.is_main:
        return
    for which in sets:
        for text in set_warnings(run, which):
            _log.warning("warning: data.%s: %s", which, text)
    for which in _LEARNT:
        for text in shared_with_val(run, which) if which in (*sets, *shared) else ():
            _log.warning("warning: data.val: %s", text)


def set_warnings(run: Run, which: str) -> Iterator[str]:
    """Say of the source, target or val images which files were left out, and which look like labels."""
    data = getattr(run.experiment.data, which)
    try:
        samples, left_out = find(data) if data else ((), "")
    except UserError:  # where the set is opened, this is an error
        return
    if str(left_out):
        yield f"{data.root}: left out: {left_out}"
    labels = labels_among(samples)
    if labels:
        yield (
            f"{data.root}: some of its images look like labels ({few(labels)}): keep labels out of the folder of the "
            "images, or set image_suffix"
        )


def shared_with_val(run: Run, which: str) -> Iterator[str]:
    """Say which val images are source or target images as well; nothing where either set is not there."""
    val = run.experiment.data.val
    try:
        shared = shared_images(find_samples(val), find_samples(getattr(run.experiment.data, which))) if val else ()
    except UserError:
        return
    if shared:
        one, other = shared[0]
        named = f"{one}" if one == other else f"{one} is {other}"
        yield f"{len(shared)} images are {which} images, too ({named}): scores are of what the model {_LEARNT[which]}"
