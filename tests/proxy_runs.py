"""Runs with proxies of the tiny world, whole and interrupted: fixtures and helpers of the tests of stage 3."""

import json
import shutil
import sys

import pytest
from conftest import ROOT
from small_experiments import CONFIG, run_stages, small_experiment, small_settings

from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.run_layout import COST
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source

# The tiny world has four target images.
IMAGES = 4


@pytest.fixture(scope="session")
def trained(tiny_world, tmp_path_factory):
    """A run folder with an adversarial model in it."""
    folder = tmp_path_factory.mktemp("trained")
    run_stages(tiny_world, folder, train_source, train_adversarial)
    return folder


@pytest.fixture(scope="session")
def straight(trained, tiny_world, tmp_path_factory):
    """The same, with proxies that were made without any interruption."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    shutil.copytree(trained, folder)
    make_proxies(Run(small_experiment(tiny_world), folder))
    return folder


@pytest.fixture(scope="session")
def audited(straight, tiny_world, tmp_path_factory):
    """The same, audited."""
    folder = tmp_path_factory.mktemp("audited") / "run"
    shutil.copytree(straight, folder)
    make_proxies(Run(small_experiment(tiny_world), folder), audit=True)
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def run(copied, tiny_world):
    return Run(small_experiment(tiny_world), copied)


def made(folder):
    """Return what a finished stage left, by relative path: labels and records, byte for byte."""
    proxies = folder / "proxies"
    files = [path for path in proxies.rglob("*") if path.is_file() and path.name != COST]
    return {str(path.relative_to(proxies)): path.read_bytes() for path in files}


def record(folder):
    return json.loads((folder / "proxies" / "proxies.json").read_text())


def cache_of(folder):
    made_from = json.loads((folder / "cache" / "inputs.json").read_text())
    del made_from["format"]
    paths = sorted((folder / "cache").rglob("*.npz"))
    return MapCache(folder / "cache", [str(one.relative_to(folder / "cache"))[:-4] for one in paths], made_from)


class Stop(Exception):  # noqa: N818 - it stands for a kill
    pass


def stop_at(monkeypatch, owner, name, number):
    """Have the process 'die' on the way into the ``number``-th call of a function."""
    calls, function = [], getattr(owner, name)

    def dying(*given, **named):
        calls.append(1)
        if len(calls) == number:
            raise Stop
        return function(*given, **named)

    monkeypatch.setattr(owner, name, dying)


def command(folder, world, *more):
    settings = [word for one in small_settings(world) for word in ("--set", one)]
    return [
        sys.executable,
        str(ROOT / "tools" / "make_proxy.py"),
        *("--config", str(CONFIG), "--run-dir", str(folder)),
        *settings,
        *more,
    ]
