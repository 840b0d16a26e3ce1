"""The estimate of a plan's time: what a first call does once is no part of it."""

import pytest

from gluon_madapt.reproduction import estimate


@pytest.mark.parametrize(
    ("taken", "expected", "calls"),
    [
        ([0.5, 0.1], 0.1, 11),  # a second of calls, or ten of them
        ([12.0, 0.1], 0.1, 11),  # a cold machine: libraries are read and compiled
        ([12.0, 2.0], 2.0, 2),
        ([90.0, 80.0], 90.0, 1),
    ],
)
def test_a_first_call_counts_only_where_compiling_is_a_small_part_of_it(taken, expected, calls, monkeypatch):
    made = []

    def timed(action):
        made.append(action)
        return taken[min(len(made), len(taken)) - 1]

    monkeypatch.setattr(estimate, "_timed", timed)
    assert estimate._measure(lambda: None) == pytest.approx(expected)
    assert len(made) == calls
