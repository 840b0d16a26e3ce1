"""What a training keeps of its iterations does not grow with their number, and is what it was."""

import json

import numpy as np
import pytest
from mxnet import nd

from gluon_madapt.training.meters import Meters, Pending


def trained(record, losses):
    for number, loss in enumerate(losses):
        record.put(Pending(number, (), {"segmentation": nd.array([loss])}, {}))
        record.read()
    record.seconds = 1.0


def new_record():
    return Meters("source", 1, lambda: "")


def test_the_window_does_not_grow_with_its_iterations():
    sizes = []
    for number in (1, 200):
        record = new_record()
        trained(record, np.ones(number))
        sizes.append(len(json.dumps(record.window)))
    assert sizes[1] <= sizes[0] + 8


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("listed", [False, True], ids=["sums", "a list, as in checkpoints of earlier versions"])
def test_a_window_that_was_cut_has_the_mean_of_the_whole(cut, listed):
    losses = np.random.default_rng(0).random(5).astype(np.float32).tolist()
    whole, before, after = new_record(), new_record(), new_record()
    trained(whole, losses)
    trained(before, losses[:cut])
    after.go_on_from(cut, [{"segmentation": one} for one in losses[:cut]] if listed else before.window)
    trained(after, losses[cut:])
    assert after.entry(5)["segmentation"] == whole.entry(5)["segmentation"] == sum(losses) / 5
    assert after.window == new_record().window
