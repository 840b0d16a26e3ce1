"""Examines how finely the discriminators look at target images."""

from typing import Iterator

from gluon_madapt.config import Adversarial
from gluon_madapt.doctor.findings import WARNING, Finding
from gluon_madapt.models.discriminator import HALVINGS
from gluon_madapt.runs.datasets import input_size, own_size
from gluon_madapt.stages import Run

# The maps that the discriminators start from, in pixels of the image for one of theirs (P §2.4).
_STARTS = {"D1": 4, "D2": 16}
# Cells across an image, below which the adversarial confidence of a pixel is hardly of its own place: the paper's
# discriminators have 32 across 1024 pixels.
FEWEST_CELLS = 12


def stride_of(name: str, settings: Adversarial) -> int:
    """Return how many pixels of the image a cell of a discriminator is wide, by the settings of stage 2."""
    return _STARTS[name] * 2 ** HALVINGS[name]


def examine_cells(run: Run) -> Iterator[Finding]:
    """Warn of discriminators whose output has few cells across the target images that they see in stage 2."""
    settings = run.experiment.adversarial
    width, _ = input_size(settings.target_input, own_size(run.experiment, "target"))
    for name in ("D1", "D2")[: settings.discriminators]:
        cells = width // stride_of(name, settings)
        if cells < FEWEST_CELLS:
            yield Finding(
                WARNING,
                "discriminators",
                f"{name} has {cells} cells across target images of {width} pixels, and fewer than {FEWEST_CELLS} say "
                "little of where an image looks unlike source: a larger adversarial.target_input, or a lower "
                "adversarial.output_stride, gives more",
            )
