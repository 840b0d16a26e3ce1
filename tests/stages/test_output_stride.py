"""The cells of the discriminators: what stage 2 trains, stage 3 sees, whatever the settings say by then."""

import logging

import numpy as np
import pytest
from small_experiments import small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.proxy_maps.network_pass import discriminators_in
from gluon_madapt.stages import Run, make_proxies, train_adversarial
from gluon_madapt.training.checkpoint import read_checkpoint, write_checkpoint


def maps_of(folder):
    """The sizes of what D1 and D2 said of the first target image."""
    with np.load(sorted((folder / "cache").rglob("*.npz"))[0]) as stored:
        return {key: stored[key].shape for key in stored.files}


# Target images are seen at 64x32.
@pytest.mark.parametrize(("stride", "cells"), [(32, [(1, 2), (1, 2)]), (8, [(4, 8), (2, 4)]), (4, [(8, 16), (2, 4)])])
def test_stage_3_sees_the_cells_that_stage_2_trained(tiny_world, copied, stride, cells, caplog):
    caplog.set_level(logging.INFO)
    settings = f"adversarial.output_stride={stride}"
    train_adversarial(Run(small_experiment(tiny_world, settings), copied, fresh=True))
    start = copied / "adversarial" / "checkpoint.npz"
    assert read_checkpoint(start).meta["output_stride"] == stride
    said = "adversarial: D2 looks at 1/16 of the image, and stays there: adversarial.output_stride is"
    stays = [one.getMessage() for one in caplog.records if "stays there" in one.getMessage()]
    assert stays == [f"{said} {stride}"] * (stride < 16)
    make_proxies(Run(small_experiment(tiny_world, settings), copied, fresh=True))
    shapes = list(maps_of(copied).values())
    assert all(size in shapes for size in cells), shapes


def test_a_checkpoint_of_an_older_version_is_of_the_papers_stride(copied):
    path = copied / "adversarial" / "checkpoint.npz"
    checkpoint = read_checkpoint(path)
    meta = {key: value for key, value in checkpoint.meta.items() if key != "output_stride"}
    write_checkpoint(path, checkpoint._replace(meta=meta))
    assert discriminators_in(path) == {"D1": (4, 3), "D2": (16, 1)}
    assert discriminators_in(copied / "source" / "checkpoint.npz") == {}


def test_another_stride_is_another_stage_2(tiny_world, copied):
    with pytest.raises(UserError, match=r"adversarial\.output_stride was 32, now 16"):
        train_adversarial(Run(small_experiment(tiny_world, "adversarial.output_stride=16"), copied))


@pytest.mark.parametrize("value", ["64", "12", "0", "32.5", "null"])
def test_what_is_no_output_stride(tiny_world, value):
    with pytest.raises(ValueError, match=r"adversarial\.output_stride = .*: expected 4, 8, 16 or 32"):
        small_experiment(tiny_world, f"adversarial.output_stride={value}")
