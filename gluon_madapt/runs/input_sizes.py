"""How many images there are and how large they are, before any of them is read."""

from typing import Optional, Tuple

from gluon_madapt.config import Input
from gluon_madapt.data.image_files import image_size
from gluon_madapt.data.layouts import PUBLISHED_COUNTS, PUBLISHED_SIZES
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import UserError
from gluon_madapt.runs.run import Run


def input_size(settings: Input, own: Tuple[int, int]) -> Tuple[int, int]:
    """Return the size, (width, height), of what the network is trained on, before any random scale."""
    return settings.crop or base_size(*own, size=settings.size, short_side=settings.short_side)


def own_size(run: Run, which: str) -> Tuple[int, int]:
    """Return the size, (width, height), of the first image on disk, or as published if the data set is not there."""
    try:
        return image_size(run.dataset(which, labelled=False).samples[0].image)
    except UserError:
        data = getattr(run.experiment.data, which)
        return PUBLISHED_SIZES.get(data.dataset if data else "", PUBLISHED_SIZES["cityscapes"])


def image_count(run: Run, which: str) -> Optional[int]:
    """Return the number of images of a split: those on disk, or as published if the data set is not there."""
    try:
        return len(run.dataset(which, labelled=False))
    except UserError:
        data = getattr(run.experiment.data, which)
        return data and PUBLISHED_COUNTS.get((data.dataset, data.split))
