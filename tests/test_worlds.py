"""The page of benchmarks/worlds.py: rows are compared run by run, and a run that only one of them has is left out."""

import runpy

import pytest
from conftest import ROOT

WORLDS = runpy.run_path(str(ROOT / "benchmarks" / "worlds.py"))


def test_a_difference_is_of_runs_that_both_rows_have():
    first = {(1, 0): 30.0, (1, 1): 32.0, (2, 0): 31.0, (2, 1): 99.0}
    second = {(1, 0): 29.0, (1, 1): 30.0, (2, 0): 28.0}
    # +1, +2 and +3: a deviation of 1 over the root of 3.
    assert WORLDS["difference"](first, second) == ("+2.00 ± 0.58", "yes", "3 of 3")
    assert WORLDS["difference"](second, {(1, 0): 30.0, (1, 1): 29.0}) == ("+0.00 ± 1.00", "no", "1 of 2")


@pytest.mark.parametrize(("worlds", "columns"), [((1, 2), 4), ((None,), 2)])
def test_a_page_has_a_column_for_each_world(worlds, columns):
    of_row = {(world, seed): 20.0 + seed for world in worlds for seed in (0, 1)}
    page = WORLDS["page"]("command", "name", {"source only": of_row})
    row = next(line for line in page.splitlines() if line.startswith("| source only"))
    assert row.count("|") - 1 == columns
    assert f"{2 * len(worlds)} runs" in page
    assert "20.5 ± 0." in row


def test_differences_are_of_rows_that_there_are():
    known = {*WORLDS["ROWS"][3], *WORLDS["ROWS"][4], *WORLDS["COMPARED"]}
    assert {row for pair in WORLDS["DIFFERENCES"].values() for row in pair} <= known
