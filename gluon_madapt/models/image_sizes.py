"""Tells which sizes of images the networks take."""

from itertools import count
from typing import Callable, Mapping, Optional, Sequence, Tuple

from gluon_madapt.errors import UserError
from gluon_madapt.models.discriminator import Cells

# A width and a height.
Size = Tuple[int, int]

# VGG16 halves its input five times, rounding down; the other encoders round up, and take a single pixel.
_LEAST_SIDE = {"vgg16": 32}
# Of a network's input, 8192x8192: a thin image whose short side is enlarged would otherwise take all memory.
_MOST_PIXELS = 1 << 26
# Its longer side: an interpolation matrix has about the square of it as elements, and MXNet crashes from 2^31 on.
_LONGEST_SIDE = 1 << 15


def least_side(encoder: str, discriminators: Optional[Mapping[str, Cells]] = None) -> int:
    """Return how many pixels each side of an image needs for an encoder, and for discriminators of such cells."""
    return max(_LEAST_SIDE.get(encoder, 1), *(cells.least_side for cells in (discriminators or {}).values()), 1)


def refuse_size(
    own: Size,
    seen: Size,
    encoder: str,
    discriminators: Optional[Mapping[str, Cells]] = None,
    scales: Sequence[float] = (1.0,),
    rounding: Callable[[float], int] = round,
) -> None:
    """Refuse an image that the networks would see too small or too large.

    Parameters
    ----------
    own, seen : (width, height)
        The size of the image, and that which it is resized to.
    encoder : str
        "resnet101", "vgg16" or "small".
    discriminators : mapping of str to Cells, optional
        The cells of those that look at its maps, as of `Space.cells`.
    scales : sequence of float
        Factors on ``seen``.
    rounding : callable
        How the length of a scaled side is rounded.

    Raises
    ------
    UserError
        If a side is shorter or longer than the networks take, or there are too many pixels.
    """
    least, most = (rounding(side * scale) for side, scale in ((min(seen), min(scales)), (max(seen), max(scales))))
    width, height = own
    needed = least_side(encoder, discriminators)
    if least < needed and needed > 1:  # what would have no pixel gets one
        enough = next(side for side in count(needed) if rounding(side * min(scales)) >= needed)
        networks = f"{encoder} with {' and '.join(discriminators)}" if discriminators else encoder
        raise UserError(
            f"{width}x{height} pixels are too small: {networks} halves its input five times, so its short side must "
            f"be {needed} or more and would be {least}: give a size or a short side of {enough} or more"
        )
    if most > _LONGEST_SIDE or seen[0] * seen[1] * max(scales) ** 2 > _MOST_PIXELS:
        raise UserError(
            f"{width}x{height} pixels are too many, or in too long a row: the network's input, {seen[0]}x{seen[1]} "
            f"at scales of up to {max(scales)}, may have {_MOST_PIXELS / 1e6:.0f} million pixels and a side of "
            f"{_LONGEST_SIDE}: give a smaller short side, or cut the image up"
        )
