"""Defines what a space is: what the discriminators look at, and all that a training and stage 3 must ask of it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, Iterable, Mapping, NamedTuple, Sequence, Tuple

from mxnet.gluon import HybridBlock

from gluon_madapt.models.discriminator import OUTPUT_STRIDE, Cells
from gluon_madapt.models.segmenter import Segmenter


class Outputs(NamedTuple):
    """What a segmenter makes of images, NDArrays or Symbols, in the order of `Segmenter.quarter`.

    ``scores`` (N, L, H/4, W/4), logits of C; ``feature`` F(X), (N, 128, H/4, W/4); ``mid`` F_l(X), (N, C, H/16, W/16).
    """

    scores: Any
    feature: Any
    mid: Any


class Space(ABC):
    """What D1 and D2 look at, the discriminators for it, and the networks through which they look.

    A method of adversarial alignment is a subclass of its own, under its name in `SPACES`.  Passes, steps and stage 3
    ask it, and know no method by name.

    Parameters
    ----------
    net : Segmenter
        F and C, for the sizes of what they return; it is not kept.
    cells : mapping of str to Cells
        Those of D1, of D1 and D2, or of neither, as of the class's `cells`.

    Attributes
    ----------
    starts_at : dict of str to int
        Pixels of the image to the side of a cell of the maps that D1 and D2 look at.
    maps_of : tuple of str
        The discriminators that `maps` returns a map for, in its order; one may be there without its discriminator.
    discriminators : dict of str to HybridBlock
        "D1", "D2", both or neither: a map to logits of 'source', (N, 1, h, w).
    added : dict of str to HybridBlock
        Networks beside F and C that the maps need; they learn with F and C, and are saved under these names.
    """

    starts_at: ClassVar[Dict[str, int]]
    maps_of: Tuple[str, ...]
    added: Dict[str, HybridBlock]

    def __init__(self, net: Segmenter, cells: Mapping[str, Cells]):
        self.discriminators = {name: self.discriminator(net, name, one.halvings) for name, one in cells.items()}

    @classmethod
    def cells(cls, number: int, output_stride: int = OUTPUT_STRIDE) -> Dict[str, Cells]:
        """Return the cells of so many discriminators, by name.

        Parameters
        ----------
        number : int
            0 (neither), 1 (D1) or 2.
        output_stride : int
            4, 8, 16 or 32: where they are to end.  A discriminator whose map is coarser than that stays there.
        """
        names = list(cls.starts_at)[:number]
        return {name: Cells.between(cls.starts_at[name], output_stride) for name in names}

    @classmethod
    def extra_losses(cls, number: int) -> Dict[str, str]:
        """Return what else so many discriminators have labels teach, and which setting of the stage weighs it."""
        return {}

    @abstractmethod
    def discriminator(self, net: Segmenter, name: str, halvings: int) -> HybridBlock:
        """Build D1 or D2 for its map, which it is to halve so often."""

    @abstractmethod
    def maps(self, F, outputs: Outputs, images) -> Tuple[Any, ...]:
        """Return what the discriminators see of images, a map for each of ``maps_of``; ``images`` are for their size.

        ``F`` is mxnet.nd or mxnet.sym.
        """

    def losses(self, F, outputs: Outputs, labels, images) -> Tuple[Any, ...]:
        """Return the losses of `extra_losses`, (1,) each, against ``labels``, (N, H, W), float32 train ids."""
        return ()

    def heads(self, net: Segmenter) -> Sequence[HybridBlock]:
        """Return the networks behind F that the maps come from."""
        return ()

    def named(self, maps: Iterable[Any]) -> Dict[str, Any]:
        """Return what `maps` returns, or gradients by it, by discriminator."""
        return dict(zip(self.maps_of, maps))

    @property
    def networks(self) -> Dict[str, HybridBlock]:
        """The discriminators and what is added, by the names that a checkpoint has them under."""
        return {**self.discriminators, **self.added}
