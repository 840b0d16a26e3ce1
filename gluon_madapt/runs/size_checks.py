"""Looks at the sizes of images, from their headers, before a stage begins with what the networks cannot take."""

from gluon_madapt.config import Input
from gluon_madapt.data import Dataset
from gluon_madapt.data.image_files import image_size
from gluon_madapt.data.transforms import base_size
from gluon_madapt.errors import UserError
from gluon_madapt.models.image_sizes import refuse_size


def refuse_sizes(dataset: Dataset, settings: Input, encoder: str, discriminators: int = 0) -> None:
    """Refuse images that the networks would see too small or too large, at the smallest or largest random scale.

    Parameters
    ----------
    dataset : Dataset
        The images; one whose header cannot be read is passed over here.
    settings : Input
        How they are resized and scaled.
    encoder : str
        "resnet101", "vgg16" or "small".
    discriminators : int
        How many of D1 and D2 look at their maps.

    Raises
    ------
    UserError
        Which names the first such image.
    """
    if settings.crop:  # of the least size or more, and images are padded to it
        return
    names = ("D1", "D2")[:discriminators]
    for sample in dataset.samples[: 1 if settings.size else None]:  # to one size, all are alike
        try:
            own = image_size(sample.image)
        except UserError:  # which is said, or the image replaced, when its turn comes
            continue
        try:
            seen = base_size(*own, size=settings.size, short_side=settings.short_side)
            refuse_size(own, seen, encoder, names, settings.scale)
        except UserError as error:
            raise UserError(f"{sample.image}: {error}") from None
