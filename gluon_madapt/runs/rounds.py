"""Says which stages a round of proxies has, and which of their models labels."""

from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple, TypeVar

from gluon_madapt.config import Experiment, Retrain, Training
from gluon_madapt.run_layout import STAGES, TRAININGS
from gluon_madapt.runs.run import Run

_Settings = TypeVar("_Settings", bound=Training)


class Round(NamedTuple):
    """A round of proxies.

    Attributes
    ----------
    stages : tuple of str
        Its stages, in their order.  A later round begins with the second one, and from the model of the round before.
    labeller : callable
        Returns the checkpoint of the model that labels in a run.
    """

    stages: Tuple[str, ...]
    labeller: Callable[[Run], Path]

    @property
    def trainings(self) -> Tuple[str, ...]:
        """The stages that leave a network."""
        return tuple(stage for stage in self.stages if stage in TRAININGS)

    def before(self, stage: str, number: int = 1) -> Tuple[Tuple[str, int], ...]:
        """Return the stage before another in a round, and the round that it is of; nothing before the first."""
        place = self.stages.index(stage)
        if place == 1 and number > 1:
            return ((self.stages[-1], number - 1),)
        return tuple((name, number) for name in self.stages[:place][-1:])


# By the model that labels, the setting proxies.model: the paper's four stages; self-training, which has no adversary.
ROUNDS: Dict[str, Round] = {
    "adversarial": Round(STAGES, lambda run: run.checkpoint_of("adversarial")),
    "trained": Round(("source", "proxies", "retrain"), Run.start_of_round),
}


def of_one_round(settings: _Settings) -> _Settings:
    """Return the settings of a training, with the iterations of one round where several rounds share them."""
    rounds = settings.rounds if isinstance(settings, Retrain) else 1
    return settings if rounds == 1 else settings.model_copy(update={"iterations": -(-settings.iterations // rounds)})


def round_of(experiment: Experiment) -> Round:
    """Return what the rounds of an experiment are."""
    return ROUNDS[experiment.proxies.model]
