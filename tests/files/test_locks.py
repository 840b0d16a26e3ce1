"""Who is let in, who waits and who is refused."""

import subprocess
import sys
import threading

import portalocker
import pytest

from gluon_madapt.errors import UserError
from gluon_madapt.files.locks import LockFileError, lock_file, lock_once

BUSY = "folder: another process is at work"
HOLD = """
import sys
from pathlib import Path
from gluon_madapt.files.locks import lock_file
lock = lock_file(Path(sys.argv[1]), "--run-dir", "busy")
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / ".source.lock"


def test_another_process_keeps_out_until_it_is_killed(path):
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"there\n"
        with pytest.raises(UserError, match=BUSY):
            lock_file(path, "--run-dir", BUSY)
        other.kill()
    lock_file(path, "--run-dir", BUSY).close()


def test_shared_locks_go_together_and_an_exclusive_one_waits_for_them(path, caplog):
    caplog.set_level("INFO")
    first = lock_file(path, "--cache", BUSY, shared=True)
    second = lock_file(path, "--cache", BUSY, shared=True)
    with pytest.raises(UserError, match=BUSY):
        lock_file(path, "--cache", BUSY)
    first.close()
    threading.Timer(0.1, second.close).start()
    lock_file(path, "--cache", BUSY, wait=True).close()
    assert caplog.messages == [BUSY]


def test_within_a_process_one_lock_serves_all_who_ask_for_it_and_goes_with_the_last_of_them(path):
    locks = [lock_once(path, "--run-dir", BUSY), lock_once(path, "--run-dir", BUSY)]
    del locks[0]
    with pytest.raises(UserError, match=BUSY):
        lock_file(path, "--run-dir", BUSY)
    locks.clear()
    lock_file(path, "--run-dir", BUSY).close()


def test_what_cannot_be_written_or_locked_names_the_option(path, monkeypatch):
    path.parent.write_text("a file")
    with pytest.raises(LockFileError, match=r"\.lock: cannot be written \(File exists\): choose another --cache"):
        lock_file(path, "--cache", BUSY)

    def refuse(file, flags):
        raise portalocker.LockException("no locks") from OSError(37, "No locks available")

    monkeypatch.setattr(portalocker, "lock", refuse)
    path.parent.unlink()
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\): choose a place on another file"):
        lock_file(path, "--cache", BUSY)
