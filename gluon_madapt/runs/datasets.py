"""Opens the images of an experiment, reads their sizes from their headers, and makes batches of them."""

from typing import Mapping, Optional, Tuple

from gluon_madapt.config import Adversarial, Data, Experiment, Input, Training
from gluon_madapt.data import Dataset, Loader, label_map_of, open_dataset
from gluon_madapt.data.image_files import image_size
from gluon_madapt.data.layouts import PUBLISHED_COUNTS, PUBLISHED_SIZES
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import UserError
from gluon_madapt.models import SPACES, Cells
from gluon_madapt.models.image_sizes import refuse_size
from gluon_madapt.training.distributed import Distributed


def dataset_of(experiment: Experiment, which: str, labelled: bool) -> Dataset:
    """Open the source, target or val images of an experiment."""
    data: Optional[Data] = getattr(experiment.data, which)
    if data is None:
        raise UserError(f"data.{which} is not set: name the dataset, its root and its split")
    labels = label_map_of(experiment, which) if labelled else None
    return open_dataset(data, labels, keep_broken=experiment.data.on_error == "skip")


def make_loader(
    experiment: Experiment,
    dataset: Dataset,
    stream: str,
    settings: Input,
    training: Training,
    labelled: bool,
    distributed: Distributed,
) -> Loader:
    """Return a worker's batches of a dataset; ``stream`` names their randomness."""
    distributed.images_per_part(training)  # before anything is read or begun
    refuse_sizes(dataset, settings, experiment.model.encoder, cells_of(training))
    first = distributed.rank * training.accumulate
    return Loader(
        dataset,
        settings,
        batch_size=training.batch_size,
        seed=experiment.seed,
        stream=stream,
        labelled=labelled,
        threads=experiment.data.threads,
        batches_per_iteration=training.accumulate * distributed.world_size,
        replace_broken=experiment.data.on_error == "skip",
        own=range(first, first + training.accumulate),
    )


def input_size(settings: Input, own: Tuple[int, int]) -> Tuple[int, int]:
    """Return the size, (width, height), of what the network is trained on, before any random scale."""
    return settings.crop or base_size(*own, size=settings.size, short_side=settings.short_side)


def own_size(experiment: Experiment, which: str) -> Tuple[int, int]:
    """Return the size, (width, height), of the first image on disk, or as published if the data set is not there."""
    try:
        return image_size(dataset_of(experiment, which, labelled=False).samples[0].image)
    except UserError:
        data = getattr(experiment.data, which)
        return PUBLISHED_SIZES.get(data.dataset if data else "", PUBLISHED_SIZES["cityscapes"])


def image_count(experiment: Experiment, which: str) -> Optional[int]:
    """Return the number of images of a split: those on disk, or as published if the data set is not there."""
    try:
        return len(dataset_of(experiment, which, labelled=False))
    except UserError:
        data = getattr(experiment.data, which)
        return data and PUBLISHED_COUNTS.get((data.dataset, data.split))


def cells_of(training: Training) -> Mapping[str, Cells]:
    """Return the cells of the discriminators of a stage, by name; there are some in stage 2 alone."""
    if not isinstance(training, Adversarial):
        return {}
    return SPACES[training.align].cells(training.discriminators, training.output_stride)


def refuse_sizes(
    dataset: Dataset, settings: Input, encoder: str, discriminators: Optional[Mapping[str, Cells]] = None
) -> None:
    """Refuse images that the networks would see too small or too large, at the smallest or largest random scale.

    Parameters
    ----------
    dataset : Dataset
        The images; those whose headers cannot be read are passed over here.
    settings : Input
        How they are resized and scaled.
    encoder : str
        "resnet101", "vgg16" or "small".
    discriminators : mapping of str to Cells, optional
        The cells of those that look at their maps, as of `Space.cells`.

    Raises
    ------
    UserError
        Which names the first such image.
    """
    if settings.crop:  # which is large enough, and images are padded to it
        return
    for sample in dataset.samples[: 1 if settings.size else None]:  # to one size, all are alike
        try:
            own = image_size(sample.image)
        except UserError:  # the loader reports or replaces the image when its turn comes
            continue
        try:
            seen = base_size(*own, size=settings.size, short_side=settings.short_side)
            refuse_size(own, seen, encoder, discriminators, settings.scale)
        except UserError as error:
            raise UserError(f"{sample.image}: {error}") from None
