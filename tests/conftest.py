"""Paths, small networks and small worlds that the tests share."""

import logging
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

import gluon_madapt.models  # noqa: F401 - GluonCV then imports where there is PyTorch, too
from gluon_madapt.config import Data
from gluon_madapt.data import open_dataset
from gluon_madapt.labels import class_set, label_map
from gluon_madapt.miniworld import make_miniworld

pytest_plugins = ["folder_layouts", "prediction_runs", "proxy_runs", "report_runs"]

# What is remembered of files of tests is of no use afterwards; tools that tests start write there, too.
_MEMORY = tempfile.TemporaryDirectory()
os.environ["GLUON_MADAPT_CACHE"] = _MEMORY.name

# What a shell runs in the background ignores Ctrl-C, and what nohup runs a hangup: so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples for everybody, so that what fails is what was changed; other ones every time by make test-all.
settings.register_profile("same", derandomize=True)
settings.register_profile("other", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
# A few real labelled Cityscapes images, in that dataset's layout; never part of this project.
REAL = Path(os.environ.get("GLUON_MADAPT_CITYSCAPES", ROOT.parent / "shared" / "real" / "cityscapes"))


def opened(dataset, root, split="train", classes=None):
    """Open a dataset in its published layout; with labels if ``classes``, their number, is given."""
    labels = label_map(dataset, class_set(classes)) if classes else None
    return open_dataset(Data(dataset=dataset, root=str(root), split=split), labels)


@pytest.fixture(autouse=True)
def _all_is_logged():
    """Undo what a process does that is not the first of several: it logs warnings alone."""
    yield
    logging.getLogger("gluon_madapt").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory):
    """A mini world of a few images, the same for all tests of one process."""
    out = tmp_path_factory.mktemp("tiny") / "world"
    make_miniworld(out, seed=3, gta5=6, synthia=4, train=4, val=2)
    return out
