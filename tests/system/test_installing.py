"""What cannot run the package is refused in one line; what can imports it without a word, and without the network."""

import os
import platform
import runpy
import shutil
import struct
import subprocess
import sys
from importlib import metadata

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from gluon_madapt.system import supported

PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12"]
NOT_PINNED = {
    "certifi",
    "pytz",
    "tzdata",
    "setuptools",
}  # data, whose newest is best; what a venv of Python 3.8 comes with
# Whatever would reach for another machine ends the process.
OFFLINE = """
import os, socket
def refuse(*arguments, **more):
    os._exit(3)
socket.socket.connect = socket.socket.sendto = socket.getaddrinfo = refuse
"""
# Each tool in turn, in one process, since MXNet takes seconds to import.
HELP = """
import runpy, sys
from pathlib import Path
sys.path.insert(0, "tools")
for path in sorted(Path("tools").glob("*.py")):
    sys.argv = [str(path), "--help"]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        print(path.name, "ended with", end.code)
"""


def run(*command, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def assert_one_line(done, *parts):
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("module", ["gluon_madapt", "gluon_madapt.models", "gluon_madapt.stages"])
def test_an_import_says_nothing_and_uses_no_network(module):
    done = run(sys.executable, "-c", f"{OFFLINE}\nimport {module}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_help_of_every_tool_says_nothing_beside_it():
    done = run(sys.executable, "-c", OFFLINE + HELP)
    assert (done.returncode, done.stderr) == (0, "")
    tools = [path.name for path in sorted((ROOT / "tools").glob("*.py")) if path.name != "checkout.py"]
    assert [line for line in done.stdout.splitlines() if "ended with" in line] == [
        f"{one} ended with 0" for one in tools
    ]
    assert done.stdout.count("usage: ") == len(tools)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 7, 16), (3, 13, 0), (4, 0, 0)])
def test_other_pythons_are_refused_with_those_that_will_do(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(ImportError, match=r"^\S+ is Python .*: expected 3.8 to 3.12, 64 bits .* make setup [^\n]*$"):
        supported.refuse_unsupported()


def test_a_python_of_32_bits_is_refused(monkeypatch):
    monkeypatch.setattr(struct, "calcsize", lambda of: 4)
    assert "32 bits: expected 3.8 to 3.12, 64 bits" in supported.wrong_with_python()


@pytest.mark.parametrize(
    ("function", "answer", "parts"),
    [
        ("machine", "aarch64", ("this is Linux on aarch64: expected Linux on x86_64",)),
        ("system", "Darwin", ("this is Darwin on x86_64: expected Linux on x86_64",)),
        ("libc_ver", ("", ""), ("is not glibc: expected glibc 2.28 or later", "Alpine")),
        ("libc_ver", ("musl", "1.2.5"), ("is musl 1.2.5: expected glibc 2.28 or later",)),
        ("libc_ver", ("glibc", "2.17"), ("is glibc 2.17: expected glibc 2.28 or later",)),
    ],
)
def test_other_machines_are_refused_by_import_and_by_pip(monkeypatch, function, answer, parts):
    monkeypatch.setattr(platform, function, lambda *arguments: answer)
    with pytest.raises(ImportError) as of_import:
        supported.refuse_unsupported()
    with pytest.raises(SystemExit) as of_pip:
        runpy.run_path(str(ROOT / "setup.py"))
    assert str(of_pip.value) == f"error: {of_import.value}"
    assert "\n" not in str(of_import.value)
    for part in parts:
        assert part in str(of_import.value)


@pytest.mark.parametrize("version", ["2.28", "2.36", "3.0"])
def test_the_c_library_may_be_newer(monkeypatch, version):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", version))
    assert supported.wrong_with_machine() == ""


def test_a_tool_in_a_python_without_the_packages_names_make_setup():
    done = run(sys.executable, "-S", "tools/eval.py", PYTHONPATH="")
    assert_one_line(done, " has no ", "numba", "make setup", ".venv/bin/python")


def test_a_tool_without_mxnet_says_so_when_it_needs_it():
    """The last of what finds modules is asked when there is none; `-S` would hide the others, too."""
    hiding = (
        "import sys, importlib.machinery as machinery\n"
        "find = machinery.PathFinder.find_spec\n"
        "machinery.PathFinder.find_spec = lambda name, *more: None if name == 'mxnet' else find(name, *more)\n"
        "import os, runpy\n"
        "sys.argv = ['tools/eval.py', '--config', 'configs/mini/gta5.yaml', '--run-dir', 'nowhere']\n"
        "sys.path.insert(0, 'tools')\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = run(sys.executable, "-c", hiding)
    assert_one_line(done, " has no mxnet", "make setup")


def test_a_missing_library_of_the_system_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(supported.LIBRARIES, "libabsent.so.1", ("libabsent1", "absent"))
    monkeypatch.setitem(supported.LIBRARIES, "libgone.so.2", ("libgone2", "gone"))
    with pytest.raises(ImportError) as found:
        supported.refuse_missing_libraries()
    assert str(found.value) == (
        "this system has no libabsent.so.1 and no libgone.so.2, which MXNet links: "
        "apt-get install libabsent1 libgone2 (Debian, Ubuntu), dnf install absent gone (Fedora, RHEL)"
    )


def test_where_opencv_misses_libgl_the_headless_build_is_named(tmp_path):
    (tmp_path / "cv2").mkdir()
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2" / "__init__.py").write_text(f"raise ImportError('{reason}')")
    done = run(sys.executable, "tools/train_source.py", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert_one_line(done, reason, f"{sys.executable} -m pip install", "'opencv-python-headless<4.12'", "libgl1")


def test_setting_up_with_a_python_that_is_none(tmp_path):
    done = run("tools/environment.sh", VENV=str(tmp_path / "venv"), PYTHON="/no where/python3.11")
    assert_one_line(done, "PYTHON=/no where/python3.11 is no usable Python: expected 3.8 to 3.12")


def test_setting_up_where_there_is_no_python(tmp_path):
    for name in ("bash", "cat", "cksum", "dirname", "sed", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name))
    nowhere = {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path), "VENV": str(tmp_path / "venv"), "PYTHON": ""}
    done = run(shutil.which("bash"), "tools/environment.sh", **nowhere)
    assert_one_line(done, "no usable Python found", "expected 3.8 to 3.12", "PYTHON=/path/to/python")


def pins():
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def canonical(name):
    return name.lower().replace("_", "-")


def applies(requirement, python):
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_has_one_pin_for_each_python(python):
    names = [canonical(one.name) for one in pins() if applies(one, python)]
    assert len(names) == len(set(names))
    assert all([str(spec).startswith("==") for spec in one.specifier] == [True] for one in pins())
    asked = map(Requirement, metadata.requires("gluon_madapt"))
    direct = {
        canonical(one.name)
        for one in asked
        if not one.marker or one.marker.evaluate({"extra": "cpu", "python_version": python})
    }
    assert direct <= set(names)


def requirements_of(name):
    try:
        return metadata.requires(name) or ()
    except metadata.PackageNotFoundError:  # of an extra that is not installed
        return ()


def test_everything_that_was_installed_has_a_pin():
    pinned = {canonical(one.name) for one in pins() if one.marker is None or one.marker.evaluate()}
    seen, ahead = set(), [("gluon_madapt", extra) for extra in ("cpu", "dev")]
    while ahead:
        name, extra = ahead.pop()
        for one in map(Requirement, requirements_of(name)):
            if (one.marker is None or one.marker.evaluate({"extra": extra})) and canonical(one.name) not in seen:
                seen.add(canonical(one.name))
                ahead.append((one.name, ""))
    assert "numpy" in seen
    assert seen - NOT_PINNED <= pinned
