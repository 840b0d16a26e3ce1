"""Aligns class probabilities in place of features: output space adaptation.

Y.-H. Tsai, W.-C. Hung, S. Schulter, K. Sohn, M.-H. Yang, M. Chandraker, "Learning to Adapt Structured Output Space for
Semantic Segmentation", CVPR 2018 (arXiv:1802.10349); sections below are that paper's.  From its description alone.
Beyond the paper that this project implements; docs/faithfulness.md says what is theirs and what is ours.
"""

from typing import Any, Dict, Mapping, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from gluon_madapt.models.bilinear import resize_channels_last
from gluon_madapt.models.classifier import Classifier
from gluon_madapt.models.discriminator import LEAK, Cells
from gluon_madapt.models.losses import segmentation_loss
from gluon_madapt.models.segmenter import Segmenter
from gluon_madapt.models.space import Outputs, Space

# §4.3, 'Discriminator'.
WIDTHS = (64, 128, 256, 512, 1)


class OutputDiscriminator(HybridBlock):
    """Tells class probabilities of source images from those of target images (§4.3).

    Five convolutions, each but the last with a leaky ReLU, and no batch norm.  The first ``halvings`` of them are the
    paper's, 4x4 of stride 2; at its depth, a cell for 32 pixels, all are.  Ours: the others are 3x3 of stride 1, which
    preserve the size, all are padded by 1, and no layer brings what it says back to the size of the image.

    Parameters
    ----------
    classes : int
        Their number, L.
    halvings : int
        0 to 5.

    Input: (N, L, H, W).  Output: (N, 1, h, w) logits of "source", h = H // 2**halvings.
    """

    def __init__(self, classes: int, halvings: int, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= halvings <= len(WIDTHS):
            raise ValueError(f"halvings must be 0 to {len(WIDTHS)}, not {halvings}")
        self.layers = nn.HybridSequential()
        channels = classes
        for index, width in enumerate(WIDTHS):
            size, stride = (4, 2) if index < halvings else (3, 1)
            self.layers.add(nn.Conv2D(width, kernel_size=size, strides=stride, padding=1, in_channels=channels))
            if index < len(WIDTHS) - 1:
                self.layers.add(nn.LeakyReLU(LEAK))
            channels = width

    def hybrid_forward(self, F, probabilities):
        """Return the logit of "source" for every patch."""
        return self.layers(probabilities)


class OutputSpace(Space):
    """Class probabilities at the size of the images: D1 those of C on F(X), D2 those of another on F_l(X) (§4.2).

    With D2 there is an auxiliary classifier on the mid-level map, of the kind of C, which learns from the labels of the
    source by a segmentation loss of its own.  D1 alone is single-level adaptation (§4.1), and needs none.
    """

    starts_at = {"D1": 1, "D2": 1}

    def __init__(self, net: Segmenter, cells: Mapping[str, Cells]):
        super().__init__(net, cells)
        self.added = {"auxiliary": Classifier(net.num_classes, net.mid_channels)} if "D2" in cells else {}
        self.maps_of = ("D1", "D2") if self.added else ("D1",)

    @classmethod
    def extra_losses(cls, number: int) -> Dict[str, str]:
        """Return the auxiliary classifier's loss, where there are two discriminators, and λ_seg of the low level."""
        return {"auxiliary_segmentation": "lambda_auxiliary"} if number > 1 else {}

    def discriminator(self, net: Segmenter, name: str, halvings: int) -> HybridBlock:
        """Build D1 or D2, which are alike, for maps that it is to halve so often."""
        return OutputDiscriminator(net.num_classes, halvings)

    def maps(self, F, outputs: Outputs, images) -> Tuple[Any, ...]:
        """Return the probabilities of each classifier, (N, L, H, W)."""
        scores = (outputs.scores, *(auxiliary(outputs.mid) for auxiliary in self.added.values()))
        return tuple(probabilities(F, one, images) for one in scores)

    def losses(self, F, outputs: Outputs, labels, images) -> Tuple[Any, ...]:
        """Return the segmentation loss of the auxiliary classifier (Eq. 5, the low level)."""
        return tuple(segmentation_loss(F, auxiliary(outputs.mid), labels, images) for auxiliary in self.added.values())

    def heads(self, net: Segmenter) -> Sequence[HybridBlock]:
        """Return both classifiers: the adversary teaches them, too."""
        return (net.classifier, *self.added.values())


def probabilities(F, scores, images):
    """Resize class scores, (N, L, h, w), to the size of ``images``, then take their softmax: (N, L, H, W)."""
    upsampled = resize_channels_last(F, scores, images)
    return F.transpose(F.softmax(upsampled, axis=-1), (0, 3, 1, 2))
