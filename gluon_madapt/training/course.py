"""Keeps the means of a training's losses over each tenth of it, by which its course is judged."""

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

PARTS = 10

Watch = Callable[["Course", int], Dict[str, str]]


class Course:
    """The losses, and other numbers, of a training of so many iterations, summed up over each tenth of them.

    Parameters
    ----------
    iterations : int
        Those of the training.
    watch : callable, optional
        Returns what is wrong with a course after so many tenths of it, a line each by what it is.

    Attributes
    ----------
    sums : list of dict
        JSON values: of each tenth the sum of each number, and of how many iterations.
    """

    def __init__(self, iterations: int, watch: Optional[Watch] = None):
        self.iterations = iterations
        self._watch: Watch = watch or (lambda *_: {})
        self.sums: List[Dict[str, List[Any]]] = [{} for _ in range(PARTS)]

    def go_on_from(self, sums: Sequence[Dict[str, List[Any]]]) -> None:
        """Continue with what a checkpoint has; those of earlier versions have nothing."""
        if len(sums) == PARTS:
            self.sums = [dict(part) for part in sums]

    def add(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add the numbers of an iteration, counted from 1."""
        part = self.sums[(iteration - 1) * PARTS // self.iterations]
        for key, value in values.items():
            total, count = part.get(key, (0.0, 0))
            part[key] = [total + value, count + 1]

    def ends_part(self, done: int) -> bool:
        """Tell whether a tenth ends with an iteration, counted from 1."""
        return self._parts(done) > self._parts(done - 1)

    def news(self, done: int) -> List[str]:
        """Return what is wrong after an iteration that ends a tenth, and was not after any tenth before.

        It follows from the sums alone, and so a training that was stopped says nothing twice.
        """
        parts = self._parts(done)
        before = {what for earlier in range(parts) for what in self._watch(self, earlier)}
        return [line for what, line in self._watch(self, parts).items() if what not in before]

    @property
    def warnings(self) -> List[str]:
        """What is wrong in the end."""
        return list(self._watch(self, PARTS).values())

    def means(self, key: str) -> List[Optional[float]]:
        """Return the mean of a number over each tenth; None where it has none."""
        return [part[key][0] / part[key][1] if key in part else None for part in self.sums]

    def last(self) -> Dict[str, float]:
        """Return the mean of every number over the last tenth."""
        return {key: total / count for key, (total, count) in self.sums[-1].items()}

    def _parts(self, done: int) -> int:
        """Return how many tenths are over after an iteration."""
        return done * PARTS // self.iterations
