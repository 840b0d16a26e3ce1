"""Warns of a discriminator that has won for good, or that never learnt to tell the domains apart (stage 2)."""

import math
from typing import Dict, List, Mapping, Optional

from gluon_madapt.training.course import PARTS, Course

# Of D's loss where it can tell nothing: -log 1/2 on the source, and once more on the target.
CHANCE = 2 * math.log(2)
# D gets all but one cell in twenty right: F has made next to none of the target look like source.
WON = 0.95
# For good: in each of the last three tenths of the training.
LAST = 3
# As near to a coin as running means of a D that learns nothing stay.
NEAR_CHANCE = 0.05
# D and F take some time to find each other: nothing is said in the first half.
EARLIEST = PARTS // 2
# Iterations of a tenth, below which its means are noise.
LEAST_ITERATIONS = 10


class DiscriminatorWatch:
    """Judges discriminators by their accuracy over tenths of the training, the mean of that on either domain.

    Chance at the end is what F is trained for, and chance from the beginning to the end is a D that never learnt.

    Parameters
    ----------
    weights : dict of str to float
        λ1 and λ2, by discriminator: where one is 0, as in the control, its discriminator wins, and is to.
    """

    def __init__(self, weights: Mapping[str, float]):
        self._weights = weights

    def __call__(self, course: Course, parts: int) -> Dict[str, str]:
        """Return what is wrong after so many tenths, a line each, under what it is and of whom."""
        if parts < EARLIEST or course.iterations < PARTS * LEAST_ITERATIONS:
            return {}
        lines = {}
        for name, weight in self._weights.items():
            accuracies = _accuracies(course, name)[:parts]
            known = [value for value in accuracies if value is not None]
            if weight and _all(accuracies[-LAST:], lambda value: value >= WON):
                lines[f"{name} won"] = _won(name, min(known[-LAST:]), course.means(name)[parts - 1])
            elif _all(accuracies, lambda value: abs(value - 0.5) <= NEAR_CHANCE):
                lines[f"{name} never learnt"] = _never_learnt(name, max(known), course.means(name)[parts - 1])
        return lines


def _accuracies(course: Course, name: str) -> List[Optional[float]]:
    both = zip(*(course.means(f"accuracy_{name}_{domain}") for domain in ("source", "target")))
    return [None if source is None or target is None else (source + target) / 2 for source, target in both]


def _all(accuracies: List[Optional[float]], holds) -> bool:
    return all(value is not None and holds(value) for value in accuracies)


def _won(name: str, accuracy: float, loss: Optional[float]) -> str:
    return (
        f"{name} has won: it is right in {accuracy:.0%} or more of its cells, and so F is not aligned"
        f"{_loss(loss)}: a higher adversarial.lambda_{name[1:]}, a lower adversarial.discriminator_learning_rate, "
        "a lower adversarial.output_stride or more adversarial.iterations may help"
    )


def _never_learnt(name: str, accuracy: float, loss: Optional[float]) -> str:
    return (
        f"{name} never learnt to tell the domains apart: it was right in {accuracy:.0%} of its cells at most, where "
        f"chance is 50%, and so F learns nothing from it, and its confidence is noise{_loss(loss)}: "
        "a higher adversarial.discriminator_learning_rate, more adversarial.iterations, a higher "
        f"adversarial.output_stride or a lower adversarial.lambda_{name[1:]} may help"
    )


def _loss(loss: Optional[float]) -> str:
    return "" if loss is None else f" (its loss is {loss:.2f}, chance {CHANCE:.2f})"
