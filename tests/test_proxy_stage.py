"""Stage 3 from stored maps: what it makes, what it shares, and that no interruption changes a byte."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from brute_force import whole_images
from conftest import ROOT
from small_experiments import CONFIG, run_stages, small_experiment, small_settings

from gluon_madapt.data import Dataset, files
from gluon_madapt.data.files import read_image, read_train_ids
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.proxies import Shares, compute_thresholds, label_image
from gluon_madapt.report.thresholds import BINS, Distributions
from gluon_madapt.stages import (
    Run,
    make_proxies,
    network_pass,
    proxy_labels,
    threshold_scans,
    train_adversarial,
    train_source,
)
from gluon_madapt.stages import proxies as stage
from gluon_madapt.stages.map_cache import MapCache, Shard, StoredMaps
from gluon_madapt.stages.threshold_picture import draw_thresholds

# The tiny world has four target images.
IMAGES = 4


@pytest.fixture(scope="module")
def trained(tiny_world, tmp_path_factory):
    """A run folder with an adversarial model in it."""
    folder = tmp_path_factory.mktemp("trained")
    run_stages(tiny_world, folder, train_source, train_adversarial)
    return folder


@pytest.fixture(scope="module")
def straight(trained, tiny_world, tmp_path_factory):
    """The same, with proxies that were made without any interruption."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    shutil.copytree(trained, folder)
    make_proxies(Run(small_experiment(tiny_world), folder))
    return folder


@pytest.fixture(scope="module")
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
    return {str(path.relative_to(proxies)): path.read_bytes() for path in proxies.rglob("*") if path.is_file()}


def record(folder):
    return json.loads((folder / "proxies" / "proxies.json").read_text())


def cache_of(folder):
    made_from = json.loads((folder / "cache" / "inputs.json").read_text())
    del made_from["format"]
    paths = sorted((folder / "cache").rglob("*.npz"))
    return MapCache(folder / "cache", [str(one.relative_to(folder / "cache"))[:-4] for one in paths], made_from)


def test_labels_and_record_are_those_of_the_definition(straight):
    cache, found = cache_of(straight), record(straight)
    whole = whole_images(cache.read(index) for index in range(len(cache)))
    thresholds = compute_thresholds(whole, 0.6, 0.8)
    assert found["t1"] == float(thresholds.t1)
    assert list(found["t2"].values()) == [float(value) for value in thresholds.t2]
    assert found["pixels"] == thresholds.pixels
    assert list(found["pixels_focused_by_class"].values()) == thresholds.focused.tolist()
    assert found["ties"]["t1"] == thresholds.ties_t1 / thresholds.pixels
    paths = sorted((straight / "proxies" / "labels").rglob("*.png"))
    assert len(paths) == IMAGES
    labels = [read_train_ids(path, 19) for path in paths]
    for one, (probabilities, confidence) in zip(labels, whole):
        np.testing.assert_array_equal(one, label_image(probabilities, confidence, thresholds))
    counts = np.sum([np.bincount(one.ravel(), minlength=256) for one in labels], axis=0)
    assert list(found["pixels_kept_by_class"].values()) == counts[:19].tolist()
    assert found["pixels_kept"] == counts[:19].sum()
    assert found["share_labelled"] == counts[:19].sum() / counts.sum()
    assert "audit" not in found


def test_settings_that_share_the_passes_are_those_made_alone(run, copied, straight, tiny_world, tmp_path):
    others = [Shares(0.5, 0.4), Shares(1.0, 0.3), Shares(0.5, 0.9)]
    reads = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            MapCache, "read", lambda *given, read=MapCache.read, **named: reads.append(1) or read(*given, **named)
        )
        make_proxies(run, also=[*others, others[0]])
    assert len(reads) == 5 * IMAGES, "four passes for the thresholds and one for the labels, whatever the settings"
    assert made(copied) == made(straight)
    for shares in others:
        name = f"p1_{shares.p1}_p2_{shares.p2}"
        experiment = small_experiment(tiny_world, f"proxies.p1={shares.p1}", f"proxies.p2={shares.p2}")
        start = copied / "adversarial" / "checkpoint.npz"
        make_proxies(Run(experiment, tmp_path / name, start), cache=copied / "cache")
        assert made(tmp_path / name) == made(copied / name)


def test_nothing_is_made_again_unless_labels_are_gone(run, copied, straight, monkeypatch):
    make_proxies(run)
    first = min((copied / "proxies" / "labels").rglob("*.png"))
    with monkeypatch.context() as patch:
        patch.setattr(stage, "find_thresholds", None)
        make_proxies(run)
    first.unlink()
    make_proxies(run)
    assert made(copied) == made(straight)


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


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (MapCache, "write", 3),
        *((MapCache, "read", number) for number in range(1, 5 * IMAGES + 1, 3)),
        *((proxy_labels, "write_png", number) for number in range(1, IMAGES + 1)),
        *((stage, "write_json", number) for number in (1, 2)),
        *((stage, "_remove", number) for number in range(1, 5)),
        (MapCache, "versions", 1),
    ],
)
@pytest.mark.parametrize("audit", [False, True])
def test_wherever_it_is_stopped_it_goes_on_to_the_same_end(
    run, copied, straight, audited, tiny_world, owner, name, number, audit
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold_scans, "CHUNK", 2)
        patch.setattr(threshold_scans, "SECONDS_BETWEEN_SAVES", -1.0)
        with patch.context() as death, pytest.raises(Stop):
            stop_at(death, owner, name, number)
            make_proxies(run, audit=audit)
        before = {path: path.stat().st_mtime_ns for path in (copied / "cache").rglob("*.npz")}
        make_proxies(Run(small_experiment(tiny_world), copied), audit=audit)
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items()), (
        "the networks saw no image twice"
    )
    expected = made(straight)
    if audit:
        expected["proxies.json"] = made(audited)["proxies.json"]
    assert made(copied) == expected


def test_labels_that_are_gone_when_it_goes_on_are_made_again(run, copied, straight):
    with pytest.MonkeyPatch.context() as death, pytest.raises(Stop):
        stop_at(death, proxy_labels, "write_png", IMAGES)
        make_proxies(run)
    min((copied / "proxies" / "labels").rglob("*.png")).unlink()
    make_proxies(run)
    assert made(copied) == made(straight)


def test_lines_of_the_log_that_are_no_entries_count_for_nothing(run, copied, straight):
    with pytest.MonkeyPatch.context() as death, pytest.raises(Stop):
        stop_at(death, proxy_labels, "write_png", IMAGES)
        make_proxies(run)
    with (copied / "proxies" / "log.jsonl").open("a") as file:
        file.write('{"image": "a", "sha{"image": "b"}\n[1]\n{"image": "b"}\n{"ima')
    make_proxies(run)
    assert made(copied) == made(straight)


def test_maps_that_are_made_anew_are_counted_anew(run, copied):
    """As when one was damaged, and the network returns other last bits on another device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold_scans, "CHUNK", 2)
        patch.setattr(threshold_scans, "SECONDS_BETWEEN_SAVES", -1.0)
        with patch.context() as death, pytest.raises(Stop):
            stop_at(death, MapCache, "read", 3 * IMAGES + 3)
            make_proxies(run)
        cache = cache_of(copied)
        maps = cache.read(1)
        cache.write(1, maps._replace(logits=maps.logits * np.float32(1.001)), Shard())
        make_proxies(run)
    thresholds = compute_thresholds(whole_images(cache.read(index) for index in range(IMAGES)), 0.6, 0.8)
    assert record(copied)["t1"] == float(thresholds.t1)
    assert list(record(copied)["t2"].values()) == [float(value) for value in thresholds.t2]


HOLD = """
import sys
from pathlib import Path
from gluon_madapt.config import load_experiment
from gluon_madapt.stages import Run
run = Run(load_experiment(sys.argv[1]), Path(sys.argv[2]))
run.lock("proxies")
print("there", flush=True)
sys.stdin.read()
"""


def test_a_fresh_start_moves_nothing_while_another_process_is_at_work_on_any_of_it(run, copied, straight, tiny_world):
    make_proxies(run)
    holding = [sys.executable, "-c", HOLD, str(CONFIG), str(copied / "p1_0.5_p2_0.4")]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"there\n"
        fresh = Run(small_experiment(tiny_world), copied, fresh=True)
        with pytest.raises(UserError, match=r"p1_0\.5_p2_0\.4.*another process is at work on it"):
            make_proxies(fresh, also=[Shares(0.5, 0.4)])
        other.communicate()
    assert not list(copied.glob("*.old"))
    assert made(copied) == made(straight)


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


def test_scans_go_on_where_they_stopped(run, monkeypatch):
    monkeypatch.setattr(threshold_scans, "CHUNK", 2)
    monkeypatch.setattr(threshold_scans, "SECONDS_BETWEEN_SAVES", -1.0)
    with monkeypatch.context() as death, pytest.raises(Stop):
        stop_at(death, MapCache, "read", 3 * IMAGES + 3)
        make_proxies(run)
    reads = []
    monkeypatch.setattr(
        MapCache, "read", lambda *given, read=MapCache.read, **named: reads.append(1) or read(*given, **named)
    )
    make_proxies(run)
    assert len(reads) == 2 + IMAGES, "the second half of the last pass, and the labels"


def test_a_saved_search_that_is_damaged_or_of_other_settings_counts_for_nothing(run, copied, straight, tiny_world):
    with pytest.MonkeyPatch.context() as death, pytest.raises(Stop):
        stop_at(death, proxy_labels, "write_png", 2)
        make_proxies(run)
    saved = copied / "proxies" / "search.npz"
    whole = saved.read_bytes()
    cache = cache_of(copied)
    (setting,) = [Shares(0.6, 0.8)]
    assert threshold_scans.SavedSearch(saved, cache, [setting]).finished
    assert not threshold_scans.SavedSearch(saved, cache, [setting, setting]).finished
    saved.write_bytes(whole[: len(whole) // 2])
    assert not threshold_scans.SavedSearch(saved, cache, [setting]).finished
    make_proxies(run)
    assert made(copied) == made(straight)


def command(folder, world, *more):
    settings = [word for one in small_settings(world) for word in ("--set", one)]
    return [
        sys.executable,
        str(ROOT / "tools" / "make_proxy.py"),
        *("--config", str(CONFIG), "--run-dir", str(folder)),
        *settings,
        *more,
    ]


def test_killed_at_random_moments_it_ends_with_the_same_bytes(trained, straight, tiny_world, tmp_path):
    began = time.monotonic()
    shutil.copytree(trained, tmp_path / "timed")
    subprocess.run(command(tmp_path / "timed", tiny_world), check=True, capture_output=True)
    whole = time.monotonic() - began
    rng = random.Random(7)
    shutil.copytree(trained, tmp_path / "killed")
    kills = 0
    for _ in range(6):
        with subprocess.Popen(command(tmp_path / "killed", tiny_world), stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(rng.uniform(0.4, 1.0) * whole)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
    assert kills
    subprocess.run(command(tmp_path / "killed", tiny_world), check=True, capture_output=True)
    # By a process of its own as well: threads may change the last bits of what the networks return.
    assert made(tmp_path / "killed") == made(tmp_path / "timed")


def test_a_signal_ends_it_with_its_status_and_it_can_go_on(trained, tiny_world, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    with subprocess.Popen(command(tmp_path / "run", tiny_world), stderr=subprocess.PIPE) as process:
        while not (tmp_path / "run" / "cache" / "inputs.json").exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert b"Traceback" not in errors


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


def test_labels_are_read_for_an_audit_alone(run, copied, straight, monkeypatch):
    def refuse(*given):
        raise AssertionError("a label of the target was read")

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_label", refuse)
        patch.setattr(Dataset, "label", refuse)
        make_proxies(run)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "find_thresholds", None)
        make_proxies(run, audit=True)
    assert made(copied)["log.jsonl"] == made(straight)["log.jsonl"]
    found = record(copied)
    audit = found.pop("audit")
    assert found == record(straight), "the truth changes nothing but what is reported"
    labels = run.dataset("target", labelled=True)
    paths = sorted((copied / "proxies" / "labels").rglob("*.png"))
    right = total = 0
    for index, path in enumerate(paths):
        truth, proxies = labels.label(index), read_train_ids(path, 19)
        known = (truth != 255) & (proxies != 255)
        right, total = right + (truth == proxies)[known].sum(), total + known.sum()
    assert audit["proxies"]["pixels"] == total
    assert audit["proxies"]["accuracy"] == right / total
    everything = sum((labels.label(index) != 255).sum() for index in range(len(labels)))
    assert sum(group["pixels"] for group in audit.values()) == everything


def test_an_audit_of_labels_from_other_maps_is_refused(run, copied):
    make_proxies(run)
    cache = cache_of(copied)
    maps = cache.read(1)
    cache.write(1, maps._replace(logits=-maps.logits), Shard())
    with pytest.raises(FailureError, match=r"\.png: was made from other maps than those in .*: make the proxies anew"):
        make_proxies(run, audit=True)


def test_an_audit_without_labels_says_what_is_missing(run, tiny_world, copied, tmp_path):
    shutil.copytree(tiny_world / "cityscapes" / "leftImg8bit", tmp_path / "cityscapes" / "leftImg8bit")
    experiment = small_experiment(tiny_world, f"data.target.root={tmp_path / 'cityscapes'}")
    with pytest.raises(UserError, match=r"has no label, expected .*gtFine"):
        make_proxies(Run(experiment, copied), audit=True)
    make_proxies(Run(experiment, copied))


def test_a_class_lost_to_saturation_is_reported(run, copied, straight, caplog):
    shutil.copytree(straight / "cache", copied / "cache")
    cache = cache_of(copied)
    for index in range(len(cache)):
        maps = cache.read(index)
        logits = np.zeros_like(maps.logits)
        logits[3] = 1000
        cache.write(index, StoredMaps(maps.size, maps.discriminators, logits), Shard())
    make_proxies(run)
    found = record(copied)
    assert found["t2"]["wall"] == 1
    assert found["ties"]["t2"]["wall"] == 1
    assert found["pixels_kept"] == 0
    assert "no proxies of class wall: 100% of its" in caplog.text


def test_values_that_are_not_finite_name_the_image(run, copied, straight):
    shutil.copytree(straight / "cache", copied / "cache")
    cache = cache_of(copied)
    maps = cache.read(1)
    maps.logits[0, 0, 0] = np.nan
    cache.write(1, maps, Shard())
    with pytest.raises(FailureError, match=f"{cache.names[1]}: class probabilities must be finite"):
        make_proxies(run)


@pytest.mark.parametrize("wrong", [["--shard", "0/2"], ["--shard", "3/2"], ["--also", "0.5"], ["--also", "0,1"]])
def test_flags_that_make_no_sense_are_one_line(wrong, tiny_world, tmp_path):
    done = subprocess.run(command(tmp_path, tiny_world, *wrong), check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{wrong[1]}: expected" in done.stderr


def test_the_thresholds_can_be_looked_at(straight, tiny_world, tmp_path):
    run = Run(small_experiment(tiny_world), straight)
    drawn = draw_thresholds(run, image=2, out=tmp_path / "picture.png")
    assert (drawn.expected, drawn.labelled) == (0.48, record(straight)["share_labelled"])
    cache, moved = cache_of(straight), 0
    paths = sorted((straight / "proxies" / "labels").rglob("*.png"))
    for path, (probabilities, _) in zip(paths, whole_images(cache.read(index) for index in range(len(cache)))):
        labels = read_train_ids(path, 19)
        moved += ((labels != 255) & (labels != probabilities.argmax(axis=0))).sum()
    assert drawn.moved == moved / record(straight)["pixels_kept"] > 0
    pixels = read_image(drawn.path)
    assert pixels.shape[1] == 1300
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    shutil.copytree(straight, tmp_path / "other")
    (tmp_path / "other" / "proxies" / "proxies.json").write_text(json.dumps(dict(record(straight), made_from={})))
    with pytest.raises(UserError, match="these proxies were made from something else than"):
        draw_thresholds(Run(small_experiment(tiny_world), tmp_path / "other"))
    with pytest.raises(UserError, match="--image 4: there are 4 images: expected 0 to 3"):
        draw_thresholds(run, image=4)
    with pytest.raises(UserError, match=r"proxies\.json: missing, so there are no proxies yet: make them with python"):
        draw_thresholds(Run(small_experiment(tiny_world), tmp_path))


def test_the_distributions_in_the_picture_count_every_pixel():
    rng = np.random.default_rng(0)
    confidence, score = rng.random((9, 7), dtype="float32"), rng.random((9, 7), dtype="float32")
    confidence[0, 0] = score[0, 0] = 1
    label = rng.integers(0, 3, (9, 7))
    found = Distributions(3)
    for rows in (slice(0, 4), slice(4, 9)):
        found.add(confidence[rows], label[rows], score[rows], 0.3)
    np.testing.assert_array_equal(found.confidence, np.histogram(confidence, BINS, (0, 1))[0])
    for c in range(3):
        chosen = score[(label == c) & (confidence > 0.3)]
        np.testing.assert_array_equal(found.scores[c], np.histogram(chosen, BINS, (0, 1))[0])
