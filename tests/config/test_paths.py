"""Paths on the command line: an empty one is none, ~ is the home folder, and a folder stands for its checkpoint."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from gluon_madapt.errors import UserError
from gluon_madapt.prediction.inputs import find_sources

EXPERIMENT = ("--config", "configs/mini/gta5.yaml")
SIZE = ("--height", "32", "--width", "32")
OTHERS = [
    ("make_proxy", "--p1", EXPERIMENT, "--set proxies.p1=: no value"),
    ("make_proxy", "--p2", EXPERIMENT, "--set proxies.p2=: no value"),
    ("reproduce", "--row", ("--table", "3", "--dry-run"), "--row: expected the name of a row"),
    ("launch", "--hosts", ("-n", "2"), "argument --hosts: '': expected a name"),
    ("check_gpu", "--devices", (), "argument --devices: '': expected a name"),
    ("check_gpu", "--tables", (), "argument --tables: '': expected a name"),
    ("predict", "--device", ("x", "--out", "y", "--checkpoint", "z"), "x: no such file"),
    ("train_source", "--set", EXPERIMENT, "--set : expected key=value"),
    ("train_source", "--seed", EXPERIMENT, "argument --seed: invalid int value: ''"),
]
FLAGS = [
    ("train_source", "--config", ()),
    ("train_source", "--run-dir", EXPERIMENT),
    ("train_adv", "--from", EXPERIMENT),
    ("make_proxy", "--cache", EXPERIMENT),
    ("train_proxy", "--from", EXPERIMENT),
    ("eval", "--checkpoint", EXPERIMENT),
    ("eval", "--out", EXPERIMENT),
    ("eval", "--save", EXPERIMENT),
    ("predict", "", ("--checkpoint", "x", "--out", "y")),
    ("predict", "--checkpoint", ("x", "--out", "y")),
    ("predict", "--out", ("x", "--checkpoint", "y")),
    ("export_onnx", "--checkpoint", (*SIZE, "--out", "y")),
    ("export_onnx", "--out", (*SIZE, "--checkpoint", "y")),
    ("report", "--run-dir", ()),
    ("report", "--out", ("--run-dir", "x")),
    ("report", "--config", ("--run-dir", "x")),
    ("show_thresholds", "--cache", EXPERIMENT),
    ("show_thresholds", "--out", EXPERIMENT),
    ("reproduce", "--out", ("--table", "3")),
    ("reproduce", "--config", ("--table", "3")),
    ("doctor", "--run-dir", EXPERIMENT),
    ("demo", "--data", ()),
    ("demo", "--run-dir", ()),
    ("make_miniworld", "--out", ()),
    ("check_gpu", "--out", ()),
    ("convert_pretrained", "", ("--encoder", "vgg16", "--out", "x")),
    ("convert_pretrained", "--out", ("--encoder", "vgg16", "x")),
]
# Calls all tools in one process, whose imports take seconds.
CALLS = """
import importlib, json, sys
sys.path.insert(0, "tools")
from gluon_madapt.config import ConfigError
from gluon_madapt.errors import UserError
for tool, *words in json.loads(sys.stdin.read()):
    try:
        importlib.import_module(tool).main(words)
        print("no error")
    except (UserError, ConfigError) as error:
        print(" ".join(str(error).split()))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    import json

    calls = [[tool, *others, *filter(None, [flag]), ""] for tool, flag, others, *_ in [*FLAGS, *OTHERS]]
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("place", range(len(FLAGS)), ids=[f"{tool} {flag}" for tool, flag, _ in FLAGS])
def test_an_empty_path_is_refused_by_every_flag(said, place):
    name = FLAGS[place][1] or "INPUT"
    assert said[place].startswith(f"argument {name}: expected a path, not an empty text (the current folder is .)")


@pytest.mark.parametrize("place", range(len(OTHERS)), ids=[f"{tool} {flag}" for tool, flag, *_ in OTHERS])
def test_an_empty_text_is_not_taken_for_a_missing_flag(said, place):
    assert said[len(FLAGS) + place].startswith(OTHERS[place][-1])


def test_every_flag_that_takes_a_path_is_tried():
    """A flag of type Path, or with FILE or DIR for its value, that does not go through `flag_path`, fails here."""
    for file in [ROOT / "gluon_madapt" / "cli" / "command.py", *(ROOT / "tools").glob("*.py")]:
        assert "type=Path" not in file.read_text()


@pytest.mark.parametrize("word", ["~/a.png", "~/*.png", "$HOME/a.png"])
def test_the_home_folder_is_found(word, tmp_path, monkeypatch):
    from gluon_madapt.cli.command import flag_path

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"")
    assert [source.name for source in find_sources([str(flag_path(word))])] == ["a"]


@pytest.mark.parametrize("word", ["~nobody-of-this-name/a", "a$NOT_SET/b", "a~b", "$", "100%"])
def test_what_a_shell_leaves_is_left(word, monkeypatch):
    from gluon_madapt.cli.command import flag_path

    monkeypatch.delenv("NOT_SET", raising=False)
    assert str(flag_path(word)) == word


def test_predictions_of_nothing_are_refused_in_python_too():
    with pytest.raises(UserError, match="names no input"):
        find_sources([""])
