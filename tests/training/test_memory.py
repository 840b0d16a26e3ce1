"""Memory does not grow with the number of sizes that images have."""

import subprocess
import sys

import pytest
from conftest import ROOT

from gluon_madapt.precision import has_bfloat16

WITH_BFLOAT16 = pytest.mark.skipif(not has_bfloat16(), reason="this processor has no instructions for bfloat16")


@pytest.mark.parametrize(
    ("what", "megabytes", "sizes"),
    [
        ("prediction", 85, 40),
        pytest.param("bfloat16", 250, 200, marks=[pytest.mark.slow, WITH_BFLOAT16]),
        pytest.param("multi-scale", 120, 40, marks=pytest.mark.slow),
        pytest.param("training", 220, 40, marks=pytest.mark.slow),
    ],
)
def test_images_of_many_sizes_take_little_more_memory_than_those_of_the_largest(what, megabytes, sizes):
    command = [sys.executable, str(ROOT / "tests" / "growing_memory.py"), what, str(sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < megabytes
