"""Work in threads, and how many of them there should be."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from gluon_madapt.system import threads
from gluon_madapt.system.threads import cores, in_threads


def machine(monkeypatch, folder, core_of_processor, quota=None):
    """Have the machine look as if it had processors on these cores, and a quota of processor time."""
    for number, core in enumerate(core_of_processor):
        place = folder / f"cpu{number}" / "topology"
        place.mkdir(parents=True)
        (place / "physical_package_id").write_text("0\n")
        (place / "core_id").write_text(f"{core}\n")
    (folder / "cpu.max").write_text(quota or "max 100000\n")
    monkeypatch.setattr(threads, "_TOPOLOGY", folder)
    monkeypatch.setattr(threads, "_QUOTA", folder / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(len(core_of_processor))))


@pytest.mark.parametrize(
    ("core_of_processor", "quota", "expected"),
    [
        ([0, 1], None, 2),
        ([0, 0, 1, 1], None, 2),
        ([0, 1, 2, 3], "150000 100000\n", 2),
        ([0, 1], "10000 100000\n", 1),
        ([0, 1], "nonsense", 2),
    ],
)
def test_cores_are_physical_ones_within_the_quota(monkeypatch, tmp_path, core_of_processor, quota, expected):
    machine(monkeypatch, tmp_path, core_of_processor, quota)
    assert cores() == expected


def test_without_a_topology_each_processor_is_a_core(monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 5})
    assert cores() == 3


@pytest.mark.parametrize("given", [None, "7"])
def test_mxnet_gets_all_cores_unless_told_otherwise(given):
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if given:
        environment["OMP_NUM_THREADS"] = given
    code = "import gluon_madapt, os; print(os.environ['OMP_NUM_THREADS'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == (given or str(cores()))


def test_results_come_in_order_and_no_more_are_begun_than_asked_for():
    begun = []

    def work(item):
        begun.append(item)
        return item * item

    results = in_threads(work, iter(range(100)), threads=2, ahead=4)
    assert [next(results) for _ in range(10)] == [item * item for item in range(10)]
    assert len(begun) <= 10 + 4
    results.close()
    assert len(begun) <= 10 + 4, "what was not begun is dropped"


def test_an_error_is_raised_where_its_result_would_come():
    def work(item):
        if item == 3:
            raise ValueError("three")
        return item

    results = in_threads(work, range(10), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
