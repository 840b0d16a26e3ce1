"""Examines how finely the discriminators look at target images."""

from typing import Iterator

from gluon_madapt.doctor.findings import WARNING, Finding
from gluon_madapt.runs.datasets import cells_of, input_size, own_size
from gluon_madapt.stages import Run

# Cells across an image, below which the adversarial confidence of a pixel is hardly of its own place: the paper's
# discriminators have 32 across 1024 pixels.
FEWEST_CELLS = 12


def examine_cells(run: Run) -> Iterator[Finding]:
    """Warn of discriminators whose output has few cells across the target images that they see in stage 2."""
    settings = run.experiment.adversarial
    width, _ = input_size(settings.target_input, own_size(run.experiment, "target"))
    for name, seen in cells_of(settings).items():
        cells = seen.across(width)
        if cells < FEWEST_CELLS:
            yield Finding(
                WARNING,
                "discriminators",
                f"{name} has {cells} cells across target images of {width} pixels, and fewer than {FEWEST_CELLS} say "
                "little of where an image looks unlike source: a larger adversarial.target_input, or a lower "
                "adversarial.output_stride, gives more",
            )
