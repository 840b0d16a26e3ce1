"""Counts the samples that taught nothing: broken ones that were replaced, and those without a labelled pixel."""

from typing import Any, Callable, Dict, Sequence

from gluon_madapt.errors import FailureError
from gluon_madapt.training.distributed import Distributed


class SampleCounts:
    """The counts of one training, in all of its parts.

    Parameters
    ----------
    stage : str
        Name of the stage, for messages.
    distributed : Distributed
        The devices and processes that share the work.
    patience : int
        Iterations in a row that may have no labelled pixel; 0 where labels teach nothing.
    last_good : callable
        Returns what there is to go on from, in words.

    Attributes
    ----------
    unlabelled : int
        The last iterations in a row that had no labelled pixel.
    """

    def __init__(self, stage: str, distributed: Distributed, patience: int, last_good: Callable[[], str]):
        self._stage, self._distributed = stage, distributed
        self._patience, self._last_good = patience, last_good
        self.unlabelled = 0
        self._replaced: Dict[str, int] = {}
        self._replaced_before = 0  # by other workers, in a run that was stopped

    def count_replaced(self, names: Sequence[str]) -> None:
        """Count the samples of an iteration that were replaced."""
        self._distributed.count_replaced(len(names))
        for name in names:
            self._replaced[name] = self._replaced.get(name, 0) + 1

    def count_unlabelled(self, iterations: int) -> None:
        """Stop a training of so many iterations that sees nothing to learn from, before that is saved as a model.

        Raises
        ------
        FailureError
            If no iteration had a labelled pixel for as many as there is patience for.
        """
        if not self._patience:
            return
        self.unlabelled = 0 if self._distributed.labelled else self.unlabelled + 1
        if self.unlabelled in (self._patience, iterations):
            raise FailureError(
                f"{self._stage}: no image of the last {self.unlabelled} iterations had a labelled pixel where it was "
                f"cut out, so nothing was learnt: a larger crop may help; {self._last_good()}"
            )

    def replacements(self) -> Dict[str, Any]:
        """Return which broken samples were replaced and how often; of other workers, how many in all."""
        counts: Dict[str, Any] = {"replaced": self._replaced}
        if self._distributed.world_size > 1:
            counts["replaced_by_other_workers"] = self._replaced_before + self._distributed.replaced_elsewhere
        return counts

    def go_on_from(self, meta: Dict[str, Any]) -> None:
        """Continue with the counts of a checkpoint."""
        self.unlabelled = meta.get("unlabelled", 0)
        if self._distributed.is_main:
            self._replaced = meta.get("replaced", {})
            self._replaced_before = meta.get("replaced_by_other_workers", 0)
