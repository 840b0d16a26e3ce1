"""A worker ends when its scheduler is gone, and at no other time; a server lives through the first signal."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

# A process that waits for ever, as inside MXNet, until its watch ends it; faster than in earnest.
WAITING = """
import sys, time
import gluon_madapt.system.workers as workers
workers._ASK_EVERY, workers._LOST_SECONDS, workers._START_SECONDS = 0.1, 1.0, {start}
workers.SAME_SECONDS = 0.5
watch = workers.SchedulerWatch()
class Store: pass
store = Store()
watch.until_gone(store)
print("ready", flush=True)
if {gone}: del store
time.sleep({seconds})
"""


@pytest.fixture
def scheduler():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def waiting(port, seconds=60, start=60, gone=False, role="worker"):
    variables = {"DMLC_ROLE": role, "DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": str(port)}
    words = [sys.executable, "-c", WAITING.format(seconds=seconds, start=start, gone=gone)]
    process = subprocess.Popen(
        words, env=dict(os.environ, **variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end_of(process):
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def port_of(listening):
    return listening.getsockname()[1]


def test_a_worker_ends_when_the_scheduler_has_gone(scheduler):
    process = waiting(port_of(scheduler))
    time.sleep(0.5)
    assert process.poll() is None
    scheduler.close()
    status, errors = end_of(process)
    assert status == 1
    assert "does not answer any more" in errors
    assert "the same command goes on" in errors


@pytest.mark.slow
def test_a_worker_lives_on_beside_its_scheduler(scheduler):
    assert end_of(waiting(port_of(scheduler), seconds=3)) == (0, "")


@pytest.mark.slow
def test_a_worker_waits_for_a_scheduler_that_has_not_begun_but_not_for_ever(scheduler):
    port = port_of(scheduler)
    scheduler.close()
    status, errors = end_of(waiting(port, start=2))
    assert status == 1
    assert f"127.0.0.1:{port} cannot be reached" in errors


@pytest.mark.slow
def test_a_worker_whose_store_is_gone_is_left_alone(scheduler):
    scheduler.close()
    assert end_of(waiting(1, seconds=3, start=1, gone=True)) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("role", ["scheduler", "server"])
def test_what_serves_lives_through_the_first_signal_and_ends_at_the_second(scheduler, role, number):
    process = waiting(port_of(scheduler), role=role)
    process.send_signal(number)
    process.send_signal(number)  # the same, by another way
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(number)
    assert end_of(process)[0] == 128 + number
