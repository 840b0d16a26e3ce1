"""What is remembered of files, and the fingerprints made of it."""

import os
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, opened

from gluon_madapt.data import file_cache, is_same
from gluon_madapt.data.fingerprints import difference
from gluon_madapt.data.image_files import write_png
from gluon_madapt.files.hashing import sha256


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A memory of its own, in which files of this very moment are kept, and of which this process knows nothing."""
    monkeypatch.setenv(file_cache.FOLDER, str(tmp_path / "memory"))
    monkeypatch.setattr(file_cache, "SETTLED_NS", -(10**12))
    monkeypatch.setattr(file_cache, "_here", {})
    return tmp_path / "memory"


@pytest.fixture
def reads(monkeypatch):
    """The files that are read from now on."""
    found = []
    monkeypatch.setattr(file_cache, "sha256", lambda path: found.append(path.name) or sha256(path))
    return found


def another_process(monkeypatch):
    monkeypatch.setattr(file_cache, "_here", {})


def keep_times(path, change):
    """Change a file and put its size and time back."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def in_place(path):
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    with path.open("r+b") as file:
        file.write(data)


def by_renaming(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    in_place(other)
    other.replace(path)


def test_a_file_is_read_once(tmp_path, memory, reads, monkeypatch):
    (tmp_path / "a").write_bytes(b"abc" * 20)
    first = file_cache.digests([tmp_path / "a"])
    another_process(monkeypatch)
    assert file_cache.digests([tmp_path / "a"]) == first == [sha256(tmp_path / "a")]
    assert reads == ["a"]


@pytest.mark.parametrize("change", [in_place, by_renaming])
@pytest.mark.parametrize("anew", [False, True])
def test_another_content_of_the_same_size_and_time_is_read(tmp_path, memory, monkeypatch, change, anew):
    for name in "ab":
        (tmp_path / name).write_bytes(b"abc" * 20)
    before = file_cache.digests([tmp_path / "a", tmp_path / "b"])
    keep_times(tmp_path / "a", change)
    if anew:
        another_process(monkeypatch)
    after = file_cache.digests([tmp_path / "a", tmp_path / "b"])
    assert after == [sha256(tmp_path / "a"), before[1]] != before


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path, memory, reads, monkeypatch):
    monkeypatch.setattr(file_cache, "SETTLED_NS", 10**12)
    (tmp_path / "a").write_bytes(b"abc")
    os.utime(tmp_path / "a", (0, 0))  # which the time of any change gives away
    file_cache.digests([tmp_path / "a"])
    file_cache.digests([tmp_path / "a"])
    assert reads == ["a", "a"]


def test_what_was_read_before_an_interruption_is_remembered(tmp_path, memory, reads, monkeypatch):
    for name in "abcdefghijkl":
        (tmp_path / name).write_bytes(name.encode())
    paths = sorted(tmp_path.glob("?"))

    def interrupted(path):
        if path.name == "l":
            raise KeyboardInterrupt
        return sha256(path)

    with pytest.raises(KeyboardInterrupt):
        file_cache.read_once("digests", paths, interrupted)
    another_process(monkeypatch)
    file_cache.digests(paths)
    assert "l" in reads
    assert "a" not in reads


def test_files_that_cannot_be_read_have_no_digest(tmp_path, memory):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "a").write_bytes(b"")
    paths = [tmp_path / name for name in ("none", "folder", "loop", "a")]
    assert file_cache.digests(paths) == [None, None, None, sha256(tmp_path / "a")]
    assert file_cache.digests([]) == []


def damaged(file):
    file.write_bytes(b"no database" * 1000)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:5000])


def of_another_form(file):
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE digests")
        other.execute("CREATE TABLE digests (unknown TEXT)")


def a_folder(file):
    file.unlink()
    file.mkdir()


def locked(file):
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")
    return other


@pytest.mark.parametrize("harm", [damaged, cut_off, of_another_form, a_folder, locked])
def test_without_a_memory_files_are_read_again(tmp_path, memory, monkeypatch, harm):
    (tmp_path / "a").write_bytes(b"abc" * 20)
    file_cache.digests([tmp_path / "a"])
    monkeypatch.setattr(file_cache, "_SECONDS_TO_WAIT", 0.0)
    (file,) = memory.iterdir()
    held = harm(file)
    for _ in range(2):
        another_process(monkeypatch)
        assert file_cache.digests([tmp_path / "a"]) == [sha256(tmp_path / "a")]
    del held


@pytest.mark.parametrize("folder", ["/dev/null/nowhere", "/proc/nowhere"])
def test_where_nothing_can_be_written_a_process_reads_a_file_once(tmp_path, memory, reads, monkeypatch, folder):
    monkeypatch.setenv(file_cache.FOLDER, folder)
    (tmp_path / "a").write_bytes(b"abc")
    assert file_cache.digests([tmp_path / "a"]) == file_cache.digests([tmp_path / "a"]) == [sha256(tmp_path / "a")]
    assert reads == ["a"]


def test_processes_side_by_side_harm_nothing(tmp_path, memory, reads):
    for number in range(200):
        (tmp_path / f"{number}").write_bytes(b"%d" % number)
    code = (
        "import sys; from pathlib import Path; from gluon_madapt.data import file_cache; "
        "file_cache.SETTLED_NS = -10**12; "
        "file_cache._SECONDS_BETWEEN_SAVES = -1; file_cache.digests(sorted(Path(sys.argv[1]).glob('[0-9]*')))"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    words = [sys.executable, "-c", code, str(tmp_path)]
    others = [subprocess.Popen(words, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(one.communicate()[1], one.returncode) for one in others] == [(b"", 0)] * 2
    paths = sorted(tmp_path.glob("[0-9]*"))
    assert file_cache.digests(paths) == [sha256(path) for path in paths]
    assert len(reads) == 0


def test_sizes_of_images_are_remembered_and_those_that_cannot_be_read_are_not(tmp_path, memory, monkeypatch):
    write_png(tmp_path / "a.png", np.zeros((3, 5), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no image")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    file_cache.size_reader(paths)
    another_process(monkeypatch)
    monkeypatch.setattr(file_cache, "image_size", lambda path: (1, 1) if path.name == "b.png" else None)
    size = file_cache.size_reader(paths)
    assert [size(path) for path in paths] == [(5, 3), (1, 1)]


def gta5(root, name="a.png"):
    for folder in ("images", "labels"):
        write_png(root / folder / name, np.full((4, 6), 7, np.uint8))
    return root


def other_time(root):
    os.utime(root / "images" / "a.png", (1, 1))


def other_place(root):
    root.rename(root.with_name("moved"))
    root.symlink_to(root.with_name("moved"))


def copied(root):
    shutil.move(root, root.with_name("old"))
    shutil.copytree(root.with_name("old"), root)


@pytest.mark.parametrize("change", [other_time, other_place, copied])
def test_time_and_place_are_no_part_of_a_fingerprint(tmp_path, memory, change):
    before = opened("gta5", gta5(tmp_path / "data"), classes=19).fingerprint
    change(tmp_path / "data")
    assert opened("gta5", tmp_path / "data", classes=19).fingerprint == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("images/a.png", "other images, the same label files"),
        ("labels/a.png", "other label files, the same images"),
    ],
)
def test_contents_are_part_of_a_fingerprint_and_it_says_which(tmp_path, memory, path, words):
    before = opened("gta5", gta5(tmp_path), classes=19).fingerprint
    keep_times(tmp_path / path, in_place)
    after = opened("gta5", tmp_path, classes=19).fingerprint
    assert not is_same(str(before), after)
    assert difference(str(before), after) == words
    assert is_same(before.older, after), "names and sizes are all that older records know"


def test_names_are_part_of_a_fingerprint(tmp_path, memory):
    found = {opened("gta5", gta5(tmp_path / name, name), classes=19).fingerprint for name in ("a.png", "b.png")}
    assert len(found) == 2


def test_labels_that_are_not_asked_for_are_not(tmp_path, memory):
    before = opened("gta5", gta5(tmp_path)).fingerprint
    keep_times(tmp_path / "labels" / "a.png", in_place)
    assert opened("gta5", tmp_path).fingerprint == before


def test_names_that_are_no_utf_8_have_fingerprints(tmp_path, memory):
    write_png(tmp_path / "a.png", np.zeros((3, 5), np.uint8))
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    found = opened("folder", tmp_path).fingerprint
    assert found == opened("folder", tmp_path).fingerprint
    assert found.older.startswith("1 images, ")


def test_older_records_of_other_sizes_differ(tmp_path, memory):
    before = opened("gta5", gta5(tmp_path), classes=19).fingerprint.older
    with (tmp_path / "images" / "a.png").open("ab") as file:
        file.write(b"more")
    assert not is_same(before, opened("gta5", tmp_path, classes=19).fingerprint)
