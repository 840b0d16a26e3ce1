"""One pass of the networks serves any p1 and p2, and only the checkpoint that it was made from."""

import json
import shutil

import pytest
from small_experiments import run_stages, small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.proxy_maps import network_pass
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source
from gluon_madapt.system.provenance import code_version
from gluon_madapt.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def made(tiny_world, tmp_path_factory):
    """A run folder with proxies in it."""
    folder = tmp_path_factory.mktemp("made")
    run_stages(tiny_world, folder, train_source, train_adversarial, make_proxies)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def label_gone(copied):
    """Have labels to make again."""
    min((copied / "proxies" / "labels").rglob("*.png")).unlink()


@pytest.fixture
def no_networks(monkeypatch):
    def refuse(run, start):
        raise AssertionError("the networks were run again")

    monkeypatch.setattr(network_pass, "load_networks", refuse)


def rewrite(path, **meta):
    checkpoint = read_checkpoint(path)
    write_checkpoint(path, Checkpoint(dict(checkpoint.meta, **meta), checkpoint.arrays))


def metrics(folder, name="metrics.json"):
    return json.loads((folder / "proxies" / name).read_text())


@pytest.mark.usefixtures("no_networks")
def test_other_proportions_need_no_networks(copied, tiny_world, tmp_path):
    run = Run(small_experiment(tiny_world, "proxies.p1=0.5", iterations=1), tmp_path / "other",
              copied / "adversarial" / "checkpoint.npz")  # fmt: skip
    make_proxies(run, cache=copied / "cache")
    assert metrics(tmp_path / "other", "proxies.json")["p1"] == 0.5
    assert metrics(tmp_path / "other")["labels_sha256"] != metrics(copied)["labels_sha256"]


def test_maps_of_another_checkpoint_are_refused_and_moved_aside_for_a_fresh_start(copied, tiny_world):
    rewrite(copied / "adversarial" / "checkpoint.npz", seed=5)
    shutil.rmtree(copied / "proxies")
    experiment = small_experiment(tiny_world, iterations=1)
    with pytest.raises(UserError, match="cache: holds the network's maps of another checkpoint: give --fresh"):
        make_proxies(Run(experiment, copied))
    make_proxies(Run(experiment, copied, fresh=True))
    assert len(list(copied.glob("cache.*.old"))) == 1


@pytest.mark.usefixtures("no_networks")
def test_finished_labels_do_without_the_maps(copied, tiny_world):
    shutil.rmtree(copied / "cache")
    make_proxies(Run(small_experiment(tiny_world, iterations=1), copied))


@pytest.mark.usefixtures("label_gone")
def test_an_image_that_is_missing_is_the_only_one_that_is_run_again(copied, tiny_world, monkeypatch):
    before = metrics(copied)["labels_sha256"]
    files = sorted((copied / "cache").rglob("*.npz"))
    files[1].unlink()
    seen, maps = [], network_pass.Networks.maps
    monkeypatch.setattr(network_pass.Networks, "maps", lambda self, *given: seen.append(1) or maps(self, *given))
    make_proxies(Run(small_experiment(tiny_world, iterations=1), copied))
    assert len(seen) == 1
    assert metrics(copied)["labels_sha256"] == before


@pytest.mark.usefixtures("label_gone")
def test_a_damaged_map_is_named(copied, tiny_world):
    path = min((copied / "cache").rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        UserError, match=rf"{path.name}: is missing or damaged .*: delete it, and make the proxies again"
    ):
        make_proxies(Run(small_experiment(tiny_world, iterations=1), copied))


def test_proxies_carry_the_versions_behind_what_they_were_made_from(copied, tiny_world):
    rewrite(copied / "adversarial" / "checkpoint.npz", code=["an older one"])
    make_proxies(Run(small_experiment(tiny_world, iterations=1), copied, fresh=True))
    assert metrics(copied)["code"] == ["an older one", code_version()]
