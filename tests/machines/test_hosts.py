"""Trainings across three hosts by real ssh: what they learn, and what happens when one of them vanishes."""

import shutil
import subprocess
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from hosts import PACKAGES, PROGRAMS, Hosts, require
from worker_commands import ITERATIONS, command, ended, launched, run, settings

from gluon_madapt.files.json_files import read_log
from gluon_madapt.run_layout import TRAININGS
from gluon_madapt.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.machines

NAMES = ("a", "b", "c")
# Long enough for a host to vanish on the way.
MANY = 60
GONE_WITHIN = 30.0


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    require(PROGRAMS, PACKAGES)
    disk = tmp_path_factory.mktemp("disk")  # mounted before the hosts begin, so that all of them see it
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(disk)], check=True)
    try:
        with Hosts(tmp_path_factory.mktemp("hosts"), NAMES) as hosts:
            hosts.disk = disk
            yield hosts
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def at(hosts, words, workers=NAMES):
    """Return what starts a training from host a, a worker on each of some hosts, with a thread each."""
    return [*hosts.at("a"), *launched(["env", "OMP_NUM_THREADS=1", *words], len(workers), workers)]


def values(folder, stage="source"):
    return read_checkpoint(folder / stage / "checkpoint.npz").arrays


def differing(one, two):
    one, two = values(one), values(two)
    assert set(one) == set(two)
    return [key for key in one if one[key].tobytes() != two[key].tobytes()]


def many(world, folder):
    return command("source", folder, settings(world, MANY, batch_size=2))


def workers_on(hosts, name, folder):
    """Return how many processes of a host work on a run folder."""
    done = subprocess.run([*hosts.at(name), "pgrep", "-f", "-c", str(folder)], capture_output=True, check=False)
    return int(done.stdout)


@contextmanager
def at_work(words, folder):
    """Yield the process of a training that has begun to train."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        log = folder / "source" / "log.jsonl"
        while not (log.exists() and len(read_log(log)) > 6) and process.poll() is None:
            time.sleep(0.1)
        yield process
        process.kill()


def gone_after(hosts, names, folder, began):
    """Return how many seconds after a point in time no process on some hosts works on a run folder any more."""
    while any(workers_on(hosts, name, folder) for name in names) and time.monotonic() < began + 2 * GONE_WITHIN:
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def undisturbed(hosts, tiny_world, tmp_path_factory):
    """A training by three hosts to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(at(hosts, many(tiny_world, folder)))
    return folder


def test_two_hosts_learn_what_one_with_the_doubled_batch_does_in_all_three_trainings(hosts, tiny_world, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for stage in TRAININGS:
        start = [] if stage == "source" else ["--from", str(one / "source" / "checkpoint.npz")]
        if stage == "retrain":
            run(command("proxies", one, settings(tiny_world, batch_size=4)))
            shutil.copytree(one / "proxies", two / "proxies")
        run([*command(stage, one, settings(tiny_world, batch_size=4), fixed=True), *start])
        words = [*command(stage, two, settings(tiny_world, batch_size=2), fixed=True), *start]
        run(at(hosts, words, workers=("b", "c")))
        alone, together = values(one, stage), values(two, stage)
        for key in (key for key in alone if not key.startswith("optimizer/")):
            np.testing.assert_allclose(together[key], alone[key], rtol=1e-5, atol=1e-5, err_msg=f"{stage} {key}")
        assert len(read_log(two / stage / "log.jsonl")) == ITERATIONS[stage]


def test_the_log_counts_the_bytes_that_a_host_sends_and_receives(hosts, tiny_world, tmp_path):
    before = hosts.bytes_through("b")
    run(at(hosts, command("source", tmp_path, settings(tiny_world, batch_size=2)), workers=("b",)))
    received, sent = (now - then for now, then in zip(hosts.bytes_through("b"), before))
    log = read_log(tmp_path / "source" / "log.jsonl")
    assert sent == pytest.approx(sum(entry["bytes_sent"] for entry in log), rel=0.1)
    assert received > 1.0 * sum(entry["bytes_received"] for entry in log)
    assert all(0 < entry["communicating"] < 1 and 0 <= entry["waiting_for_workers"] < 1 for entry in log)


def fill(hosts):
    with suppress(OSError), (hosts.disk / "filler").open("wb") as file:
        while file.write(bytes(1 << 20)):
            file.flush()


FAULTS = {
    "the link of c is down": (lambda hosts: hosts.cut("c"), lambda hosts: hosts.mend("c"), "c"),
    "all processes of c are killed": (lambda hosts: hosts.power_off("c"), lambda hosts: hosts.start_host("c"), "c"),
    "a disk is full": (fill, lambda hosts: (hosts.disk / "filler").unlink(), "cannot be written"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_when_a_host_vanishes_the_others_end_and_the_training_goes_on(hosts, tiny_world, tmp_path, undisturbed, fault):
    vanish, mend, named = FAULTS[fault]
    folder = hosts.disk / "run" if "disk" in fault else tmp_path / "run"
    words = at(hosts, many(tiny_world, folder))
    with at_work(words, folder) as process:
        began = time.monotonic()
        vanish(hosts)
        said, _ = process.communicate(timeout=60)
        seconds = gone_after(hosts, [name for name in NAMES if named != name], folder, began)
    print(f"{fault}: all others had ended after {seconds:.1f} s")
    assert seconds < GONE_WITHIN, said
    assert process.returncode != 0
    assert "what was saved last is where the same command goes on" in said
    assert (f"on {named}," if named in NAMES else named) in said
    mend(hosts)
    done = ended(words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continues after iteration" in done.stdout
    assert differing(folder, undisturbed) == []


def test_workers_end_when_the_host_that_started_them_vanishes(hosts, tiny_world, tmp_path):
    with at_work(at(hosts, many(tiny_world, tmp_path)), tmp_path):
        began = time.monotonic()
        hosts.cut("a")
        seconds = gone_after(hosts, ["b", "c"], tmp_path, began)
        hosts.mend("a")
    print(f"the link of a is down: b and c had ended after {seconds:.1f} s")
    assert seconds < GONE_WITHIN


def test_a_slow_wire_that_loses_frames_changes_nothing_but_the_time(tiny_world, tmp_path):
    require(PROGRAMS, PACKAGES)
    few = settings(tiny_world, 3, batch_size=2)
    seconds = {}
    for wire, wires in (("fast", {}), ("slow", {"b": (0.02, 0.01)})):
        with Hosts(tmp_path / wire, ("a", "b"), wires) as pair:
            began = time.monotonic()
            run(at(pair, command("source", tmp_path / f"run-{wire}", few), workers=("a", "b")))
            seconds[wire] = time.monotonic() - began
    print("seconds:", seconds)
    assert differing(tmp_path / "run-fast", tmp_path / "run-slow") == []
