"""Config files as people write them: clear, or refused with the line; and what is written is read back."""

import warnings

import pytest
import yaml
from config_words import BASE, INTERNALS

from gluon_madapt.config import ConfigError, load_experiment, stated_settings

FILES = [
    ("a tab", b"source:\n\titerations: 3\n", "line 2, column 1: .*indent with spaces, not with tabs"),
    ("twice", b"seed: 1\nseed: 2\n", "line 2, column 1: seed is there twice"),
    ("empty", b"", "it is empty"),
    ("comments", b"# nothing\n", "it is empty"),
    ("UTF-16", "seed: 1\n".encode("utf-16"), "it is no UTF-8 text"),
    ("Latin-1", "name: Straße\n".encode("latin-1"), "it is no UTF-8 text"),
    ("a list", b"- 1\n", "key: value' lines: it is .1."),
    ("two documents", b"seed: 1\n---\nseed: 2\n", "not valid YAML: line 2, column 1"),
    (
        "a bare colour",
        b"classes:\n- name: a\n  colour: #66a61e\n",
        "line 3, column 10: # begins .* quotes, as in '#66a61e'",
    ),
    ("a bare short colour", b"classes:\n- {name: a}\n- name: b\n  colour:   #fff # green\n", "in quotes, as in '#fff'"),
    ("a bare id", b"classes:\n- name: a\n  ids:\n  - #804080\n  - 3\n", "line 4, column 4: # begins a comment"),
    ("no such base", b"base: ''\n", "base is '': expected the path of another experiment"),
]


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_a_file_that_says_nothing_clear_is_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_experiment(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not INTERNALS.search(str(caught.value).replace(str(path), "")), caught.value


@pytest.mark.parametrize(
    "text", ["\ufeffbase: {}\nseed: 5\n", "base: {}\r\nseed: 5\r\n", "base: {}\rseed: 5", "seed: 5 # b\nbase: {}"]
)
def test_marks_of_byte_order_and_ends_of_lines_change_nothing(tmp_path, text):
    (tmp_path / "mine.yaml").write_bytes(text.format(BASE).encode())
    assert load_experiment(tmp_path / "mine.yaml").seed == 5


def test_a_comment_after_an_empty_value_is_no_colour(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        f"base: {BASE}\nmodel:\n  # 123\ndata: {{val: }} #fff\nname: # decades\n  mine\n"
    )
    assert load_experiment(tmp_path / "mine.yaml", ["model={encoder: small, weights: none}"]).data.val is None


@pytest.mark.parametrize("base", ["~/base.yaml", "$HOME/base.yaml"])
def test_the_base_may_lie_in_the_home_folder(tmp_path, monkeypatch, base):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text(f"base: {BASE}\nseed: 7\n")
    (tmp_path / "mine.yaml").write_text(f"base: {base}\n")
    assert load_experiment(tmp_path / "mine.yaml").seed == 7


NAMES = [
    "no",
    "Off",
    "010",
    "08",
    "1e3",
    "1:30",
    "0o7",
    "1_0",
    "2020-01-01",
    "~",
    "null",
    "#66a61e",
    "Straße",
    "=",
    "a: b",
    "1.",
    "+5",
    "<<",
    "yes ",
    "-0",
    "0b1",
    "😀",
]


def test_texts_that_look_like_something_else_survive_the_resolved_config(tmp_path):
    classes = [{"name": name, "ids": [number]} for number, name in enumerate(NAMES)]
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({"base": str(BASE), "classes": classes}).replace(" 08", " '08'").replace(" 1e3", " '1e3'")
    )
    experiment = load_experiment(tmp_path / "mine.yaml")
    assert [one.name for one in experiment.classes] == NAMES
    (tmp_path / "resolved.yaml").write_text(experiment.to_yaml())
    assert load_experiment(tmp_path / "resolved.yaml") == experiment
    assert yaml.safe_load(experiment.to_yaml()) == experiment.model_dump(mode="json"), "for any other reader, too"


def test_what_a_file_states_can_be_set_again_whatever_its_classes_are_called(tmp_path):
    ids = {name: [number] for number, name in enumerate([*NAMES, "a.b", "c=d"])}
    stated = {"data": {"source": {"dataset": "folder", "root": "x", "ids": ids}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"base": str(BASE), **stated}).replace(" 1e3", " '1e3'"))
    experiment = load_experiment(
        BASE, ["data.source={dataset: folder, root: y}", *stated_settings(tmp_path / "mine.yaml")]
    )
    assert list(experiment.data.source.ids) == sorted(ids)


@pytest.mark.parametrize(
    "override",
    [
        "devices=auto",
        "devices=[cpu(0)]",
        "devices=[cpu(0), cpu(1)]",
        "classes=16",
        "classes=[{name: road, ids: [7]}, {name: rest, ids: [8], colour: '#102030'}]",
        "data.source={dataset: folder, root: x, labels: y, ignored_ids: others}",
        "data.source={dataset: folder, root: x, labels: y, ignored_ids: [0, 255]}",
        "source.input={size: [64, 32]}",
    ],
)
def test_an_experiment_is_written_without_a_warning_whatever_its_settings_are(override):
    experiment = load_experiment(BASE, [override])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert yaml.safe_load(experiment.to_yaml()) == experiment.model_dump(mode="json")
