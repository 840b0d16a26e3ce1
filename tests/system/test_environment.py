"""Variables that MXNet, OpenMP and Numba read: whatever they hold, the package works, with a line on what is wrong."""

import io
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from gluon_madapt.system import environment
from gluon_madapt.system.environment import clean_environment
from gluon_madapt.system.threads import cores

PROCESSORS = len(os.sched_getaffinity(0))
IGNORED, CAPPED, SILENT = "it is ignored", "processors", ""
NAMES = ["OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "NUMBA_NUM_THREADS", "MXNET_CPU_WORKER_NTHREADS"]
NAMES += ["MXNET_CPU_PRIORITY_NTHREADS", "MXNET_MP_WORKER_NTHREADS", "MXNET_OMP_MAX_THREADS"]
VALUES = [
    ("2", "2", SILENT),
    (" 4 ", "4", SILENT),
    ("+2", "2", SILENT),
    ("02", "2", SILENT),
    ("", None, SILENT),
    ("  ", None, SILENT),
    ("abc", None, IGNORED),
    ("0", None, IGNORED),
    ("00", None, IGNORED),
    ("-1", None, IGNORED),
    ("1e3", None, IGNORED),
    ("2.5", None, IGNORED),
    ("2;1", None, IGNORED),
    ("4abc", None, IGNORED),
    ("٢", None, IGNORED),
    ("²", None, IGNORED),
    ("\udcff", None, IGNORED),
    ("a\nb", None, IGNORED),
    ("x" * 5000, None, IGNORED),
    (str(4 * PROCESSORS), str(4 * PROCESSORS), SILENT),
    (str(4 * PROCESSORS + 1), str(cores()), CAPPED),
    ("1000000", str(cores()), CAPPED),
    ("9" * 5000, str(cores()), CAPPED),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("value", "expected", "said"), VALUES, ids=[ascii(value[0][:9]) for value in VALUES])
def test_a_number_of_threads_is_one_afterwards_or_not_there(monkeypatch, capsys, name, value, expected, said):
    monkeypatch.setenv(name, value)
    clean_environment()
    assert os.environ.get(name) == expected
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (1 if said else 0)
    assert all(line.startswith(f"warning: {name}=") and said in line and len(line) < 200 for line in lines)


@pytest.mark.parametrize(
    ("value", "expected"), [("2,1", "2"), ("2, 1", "2"), ("3,2,1", "3"), ("2,", "2"), (",2", None), ("a,2", None)]
)
def test_the_first_number_of_a_list_counts(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    clean_environment()
    assert os.environ.get("OMP_NUM_THREADS") == expected


@pytest.mark.parametrize("value", ["foo", "naiveengine"])
def test_an_engine_that_there_is_not_is_ignored(monkeypatch, capsys, value):
    monkeypatch.setenv("MXNET_ENGINE_TYPE", value)
    clean_environment()
    assert "MXNET_ENGINE_TYPE" not in os.environ
    assert "expected one of NaiveEngine" in capsys.readouterr().err


@pytest.mark.parametrize("stream", [None, "closed"])
def test_nobody_need_listen(monkeypatch, stream):
    monkeypatch.setenv("OMP_NUM_THREADS", "abc")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(environment.sys, "stderr", stream and closed)
    clean_environment()
    assert "OMP_NUM_THREADS" not in os.environ


def test_others_variables_are_left(monkeypatch):
    monkeypatch.setenv("MXNET_SAFE_ACCUMULATION", "abc")
    monkeypatch.setenv("MXNET_ENGINE_TYPE", "NaiveEngine")
    before = dict(os.environ, OMP_NUM_THREADS="1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    clean_environment()
    assert dict(os.environ) == before


def test_mxnet_works_whatever_they_hold():
    wrong = {"OMP_NUM_THREADS": "2,1", "MXNET_CPU_WORKER_NTHREADS": "abc", "NUMBA_NUM_THREADS": "0"}
    wrong.update(MXNET_CPU_PRIORITY_NTHREADS="0", MXNET_OMP_MAX_THREADS="x", MXNET_ENGINE_TYPE="foo")
    code = "import gluon_madapt, mxnet, numba; print(mxnet.nd.ones(4).sum().asscalar())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **wrong}, capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "4.0"
    assert len(done.stderr.splitlines()) == len(wrong) - 1, done.stderr
