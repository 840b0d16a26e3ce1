"""The network's stored maps: shards of them, where they came from, and who may write them."""

import itertools
import json
import shutil
import subprocess

import numpy as np
import pytest
from proxy_runs import IMAGES, cache_of, command, made
from small_experiments import small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.proxy_maps import network_pass
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.stages import Run, make_proxies


@pytest.mark.slow
def test_shards_side_by_side_make_the_maps_of_one_process(trained, tiny_world, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(trained, tmp_path / name)
    both = [
        subprocess.Popen(command(tmp_path / "two", tiny_world, "--shard", f"{i}/2"), stderr=subprocess.PIPE)
        for i in (1, 2)
    ]
    said = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert any("now make the labels: the same command without --shard" in text for text in said)
    assert not (tmp_path / "two" / "proxies").exists()
    subprocess.run(command(tmp_path / "one", tiny_world), check=True, capture_output=True)
    maps = {
        path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one" / "cache").rglob("*.npz")
    }
    assert len(maps) == IMAGES
    for path, content in maps.items():
        assert (tmp_path / "two" / path).read_bytes() == content
    done = subprocess.run(command(tmp_path / "two", tiny_world), check=True, capture_output=True, text=True)
    assert "network pass" not in done.stderr
    assert made(tmp_path / "two") == made(tmp_path / "one")


def test_shards_from_several_machines_are_put_together_by_copying(run, copied, straight, tmp_path):
    for index in (1, 2, 3):
        make_proxies(run, cache=tmp_path / f"machine-{index}", shard=Shard(index, 3))
    for index in (1, 2, 3):
        shutil.copytree(tmp_path / f"machine-{index}", copied / "cache", dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_pass, "load_networks", None)
        make_proxies(run)
    assert made(copied) == made(straight)


def test_a_map_of_another_image_is_named(run, copied, straight):
    shutil.copytree(straight / "cache", copied / "cache")
    names = cache_of(copied).names
    shutil.copy(copied / "cache" / f"{names[0]}.npz", copied / "cache" / f"{names[2]}.npz")
    with pytest.raises(UserError, match=rf"{names[2]}.npz: holds the maps of another image: delete it"):
        make_proxies(run)


def test_a_map_of_another_checkpoint_among_the_others_is_named(run, copied, straight):
    shutil.copytree(straight / "cache", copied / "cache")
    cache = cache_of(copied)
    other = MapCache(copied / "cache", cache.names, dict(cache.made_from, checkpoint="another"))
    other.write(2, cache.read(2), Shard())
    with pytest.raises(UserError, match=rf"{cache.names[2]}.npz: was made from another checkpoint.*: delete it"):
        make_proxies(run)
    (copied / "cache" / f"{cache.names[2]}.npz").unlink()
    make_proxies(run)
    assert made(copied) == made(straight)


@pytest.mark.parametrize(("change", "named"), [("classes", "classes"), ("encoder", "encoder"), ("size", "size")])
def test_maps_made_by_other_settings_are_refused(run, copied, straight, change, named):
    shutil.copytree(straight / "cache", copied / "cache")
    path = copied / "cache" / "inputs.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **{change: "other"})))
    with pytest.raises(UserError, match=f"holds the network's maps of another {named}: give --fresh"):
        make_proxies(run)


def test_a_cache_whose_record_cannot_be_read_gives_way_to_a_fresh_start(run, copied, straight, tiny_world, tmp_path):
    shutil.copytree(straight / "cache", tmp_path / "cache")
    (tmp_path / "cache" / "inputs.json").write_text("{")
    with pytest.raises(UserError, match=r"maps of another origin \(inputs.json cannot be read\): give --fresh"):
        make_proxies(run, cache=tmp_path / "cache")
    make_proxies(Run(small_experiment(tiny_world), copied, fresh=True), cache=tmp_path / "cache")
    assert len(list(tmp_path.glob("cache.*.old"))) == 1
    assert made(copied) == made(straight)


def test_a_cache_that_cannot_be_made_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\): choose another --cache"):
        make_proxies(run, cache=tmp_path / "file" / "x" / "cache")


def test_two_processes_of_one_shard_and_a_fresh_shard_are_refused(run, copied, tiny_world, tmp_path):
    cache = MapCache(tmp_path / "cache", [], {"discriminators": []})
    again = cache.writing(Shard(1, 2))
    with cache.writing(Shard(1, 2)), cache.writing(Shard(2, 2)), pytest.raises(UserError, match="at work on the same"):
        again.__enter__()
    with pytest.raises(UserError, match="--fresh with --shard would move aside what other shards have made"):
        make_proxies(Run(small_experiment(tiny_world), copied, fresh=True), shard=Shard(1, 2))


def test_what_killed_processes_left_half_written_is_cleared_away(run, copied, straight):
    shutil.copytree(straight / "cache", copied / "cache")
    left = copied / "cache" / "x.npz.2-of-3.partial"
    left.write_bytes(b"half")
    min((copied / "cache").rglob("*.npz")).unlink()
    make_proxies(run)
    assert not left.exists()


def test_a_complete_cache_that_cannot_be_written_is_used_all_the_same(run, copied, straight, monkeypatch):
    cache = copied / "elsewhere" / "cache"
    shutil.copytree(straight / "cache", cache)
    open_path = type(copied).open

    def refuse(path, *given, **named):
        if path.suffix == ".lock" and path.parent == cache.parent:
            raise PermissionError(13, "Permission denied")
        return open_path(path, *given, **named)

    monkeypatch.setattr(type(copied), "open", refuse)
    make_proxies(run, cache=cache)
    assert made(copied) == made(straight)
    next(cache.rglob("*.npz")).unlink()
    shutil.rmtree(copied / "proxies")
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\): choose another --cache"):
        make_proxies(run, cache=cache)


def test_no_altered_byte_is_accepted(tmp_path):
    """Not of the directory either: an array that it says is longer is never read to the end, where zip would notice."""
    cache = MapCache(tmp_path, ["a.png"], {"discriminators": []})
    cache.write(0, StoredMaps((8, 16), [], np.zeros((1, 2, 2), np.float32)), Shard())
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    for place, bit in itertools.product(range(len(whole)), (1, 128)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with pytest.raises(UserError, match="is missing or damaged"):
            cache.read(0)
