"""Trainings that are interrupted, and checkpoints that are to be the same."""

from contextlib import contextmanager

import pytest

from gluon_madapt.training.checkpoint import read_checkpoint
from gluon_madapt.training.loop import Loop


def assert_same(first, second):
    one, two = read_checkpoint(first).arrays, read_checkpoint(second).arrays
    assert one.keys() == two.keys()
    assert [key for key in one if one[key].tobytes() != two[key].tobytes()] == []


class InterruptedTrainingError(Exception):
    pass


@contextmanager
def interrupted_in_iteration_4():
    """End a training with an error after three iterations, of which two are in its checkpoint."""
    recorded, record = [], Loop.record

    def failing(self, *rates, **losses):
        if len(recorded) == 3:
            raise InterruptedTrainingError
        recorded.append(losses)
        record(self, *rates, **losses)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedTrainingError):
        patch.setattr(Loop, "record", failing)
        yield
