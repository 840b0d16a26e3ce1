"""Stage 3 stopped anywhere: no interruption changes a byte of what it ends with."""

import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from brute_force import whole_images
from proxy_runs import IMAGES, Stop, cache_of, command, made, record, stop_at
from self_signal import signals_itself
from small_experiments import CONFIG, small_experiment

from gluon_madapt.errors import UserError
from gluon_madapt.proxies import Shares, compute_thresholds
from gluon_madapt.proxy_maps import labelling as proxy_labels
from gluon_madapt.proxy_maps import proxy_set
from gluon_madapt.proxy_maps import threshold_search as threshold_scans
from gluon_madapt.proxy_maps.cache import MapCache, Shard
from gluon_madapt.stages import Run, make_proxies
from gluon_madapt.stages import proxies as stage


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (MapCache, "write", 3),
        *((MapCache, "read", number) for number in range(1, 5 * IMAGES + 1, 3)),
        *((proxy_labels, "write_png", number) for number in range(1, IMAGES + 1)),
        *((proxy_set, "write_json", number) for number in (1, 2)),
        *((stage, "_remove", number) for number in range(1, 5)),
        (MapCache, "versions", 1),
    ],
)
@pytest.mark.parametrize("audit", [False, pytest.param(True, marks=pytest.mark.slow)])
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


@pytest.mark.slow
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


def test_a_signal_ends_it_with_its_status_and_it_can_go_on(trained, copied, tiny_world):
    words = signals_itself(command(copied, tiny_world), signal.SIGTERM, MapCache.write, 2)
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 143, done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((copied / "cache").rglob("*.npz"))) == 2
    other = copied.parent / "other"
    shutil.copytree(trained, other)
    for folder in (copied, other):  # by processes of their own: threads may change the last bits
        subprocess.run(command(folder, tiny_world), check=True, capture_output=True)
    assert made(copied) == made(other)
