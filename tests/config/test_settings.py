"""Settings as people write them: meant, or refused in one line that says what to write; never something else."""

import copy
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from config_words import BASE, INTERNALS
from conftest import ROOT
from pydantic import BaseModel

from gluon_madapt.config import ConfigError, Experiment, files, load_experiment

CLASSES = "[{name: path, ids: [1, 4]}, {name: sky, ids: [2], colour: '#4682b4'}]"


def dotted(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")


def value_of(experiment, key):
    for part in key.split("."):
        experiment = experiment[int(part)] if part.isdecimal() else getattr(experiment, part)
    return experiment


def anchored(path):
    """Yield the pairs of keys of a file that one anchor gives their values."""
    places = {}
    for key, value in dotted(yaml.safe_load(path.read_text())):
        if isinstance(value, dict):
            places.setdefault(id(value), []).append(key)
    return [(one, other) for keys in places.values() for one in keys for other in keys if one != other]


SHARED = [(path, *pair) for path in sorted((ROOT / "configs").rglob("*.yaml")) for pair in anchored(path)]


def test_the_configs_have_anchors():
    assert {path.name for path, _, _ in SHARED} >= {"base.yaml", "gta5.yaml", "synthia.yaml"}


@pytest.mark.parametrize(("path", "changed", "other"), SHARED, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("change", ["scale=[0.5, 2.0]", "mirror=false", "crop=[64, 32]"])
def test_a_change_of_one_of_two_anchored_settings_leaves_the_other(path, changed, other, change):
    before = load_experiment(path)
    after = load_experiment(path, [f"{changed}.{change}"])
    assert value_of(after, changed) != value_of(before, changed)
    assert value_of(after, other) == value_of(before, other)


def test_what_anchors_share_is_copied_in_lists_merges_and_bases(tmp_path):
    (tmp_path / "base.yaml").write_text(f"base: {BASE}\nretrain: {{input: &a {{crop: &c [64, 32], size: *c}}}}\n")
    path = tmp_path / "mine.yaml"
    path.write_text("base: base.yaml\nsource: {input: &a {<<: &b {mirror: false}, short_side: 96}}\n")
    path.write_text(path.read_text() + "adversarial: {source_input: *a, target_input: {<<: *a, short_side: null}}\n")
    experiment = load_experiment(path, ["adversarial.source_input.mirror=true", "retrain.input.size=null"])
    assert not experiment.source.input.mirror
    assert experiment.adversarial.source_input.mirror
    assert not experiment.adversarial.target_input.mirror
    assert (experiment.adversarial.target_input.size, experiment.retrain.input.crop) == ((1024, 512), (64, 32))


def test_merged_keys_are_not_taken_for_repeated_ones(tmp_path):
    path = tmp_path / "mine.yaml"
    merged = "source: {input: &a {<<: &b {mirror: false}, mirror: true}}\nretrain: {input: {<<: *a}}"
    path.write_text(f"base: {BASE}\n{merged}")
    experiment = load_experiment(path)
    assert experiment.source.input.mirror
    assert experiment.retrain.input.mirror


MEANT = [
    ("source.iterations=1e3", "source.iterations", 1000),
    ("source.iterations=1E+3", "source.iterations", 1000),
    ("source.iterations=80_000", "source.iterations", 80000),
    ("source.iterations=12.0", "source.iterations", 12),
    ("source.input={size: [1e2, 64.0]}", "source.input.size", (100, 64)),
    ("adversarial.discriminators=1.0", "adversarial.discriminators", 1),
    ("source.learning_rate=4e-3", "source.learning_rate", 0.004),
    ("source.learning_rate=.5", "source.learning_rate", 0.5),
    ("source.input.mirror=no", "source.input.mirror", False),
    ("source.input.mirror=On", "source.input.mirror", True),
    ("model.sync_bn=off", "model.sync_bn", False),
    (" source.batch_size = 2 ", "source.batch_size", 2),
    ("devices=gpu", "devices", ("gpu(0)",)),
    ("devices=cpu", "devices", ("cpu(0)",)),
    ("devices=gpu:1", "devices", ("gpu(1)",)),
    ("devices=cuda:0", "devices", ("gpu(0)",)),
    ("devices=GPU(2)", "devices", ("gpu(2)",)),
    ("devices=[gpu:0, cuda:1]", "devices", ("gpu(0)", "gpu(1)")),
    ("devices=Auto", "devices", "auto"),
    ("data.val=null", "data.val", None),
    ("classes=[{name: no, ids: [1]}, {name: 010, ids: [0x10]}]", "classes.0.name", "no"),
    ("classes=[{name: no, ids: [1]}, {name: 010, ids: [0x10]}]", "classes.1.name", "010"),
    ("classes=[{name: no, ids: [1]}, {name: 010, ids: [0x10]}]", "classes.1.ids", (16,)),
    ("classes=[{name: 1:30, ids: [1e1]}, {name: 2020-01-01}]", "classes.0.ids", (10,)),
    ("classes=[{name: 1:30, ids: [1e1]}, {name: 2020-01-01}]", "classes.1.name", "2020-01-01"),
    ("data.source.split=01", "data.source.split", "01"),
    ("data.source.root=2020-01-01", "data.source.root", "2020-01-01"),
    ("data.source.root=~/data", "data.source.root", "/home/me/data"),
    ("data.source.root=$HOME/data", "data.source.root", "/home/me/data"),
    ("data.source.root=${HOME}/x", "data.source.root", "/home/me/x"),
    ("data.source.root=$NOT_SET/x", "data.source.root", "$NOT_SET/x"),
    ("data.source={dataset: folder, root: ~/a, labels: ~/b}", "data.source.labels", "/home/me/b"),
    ("model.weights=~/w.params", "model.weights", "/home/me/w.params"),
    ("data.source={dataset: folder, root: a, ids: {on: [1], no: [2], 010: [3]}}", "data.source.ids.no", (2,)),
]


@pytest.mark.parametrize(("override", "key", "expected"), MEANT)
def test_what_is_meant_is_taken(override, key, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("NOT_SET", raising=False)
    experiment = load_experiment(BASE, [override])
    *parents, last = key.split(".")
    found = value_of(experiment, ".".join(parents)) if parents else experiment
    found = found[last] if isinstance(found, dict) else value_of(found, last)
    assert (found, type(found)) == (expected, type(expected))


def test_a_colour_after_set_needs_no_quotes():
    colours = ["classes=" + CLASSES.replace("'", '"')]
    assert load_experiment(BASE, colours).classes[1].colour == "#4682b4"
    with pytest.raises(ConfigError, match="^--set data.source.root.x=#66a61e: root is a value"):
        load_experiment(BASE, ["data.source.root.x=#66a61e"])
    assert load_experiment(BASE, ["data.source.split=#66a61e"]).data.source.split == "#66a61e"


REFUSED = [
    ("classes=[{name: a, ids: [010]}, {name: b, ids: [2]}]", "classes.0.ids.0 = '010'.*write 10, or 8 if it is octal"),
    ("classes=[{name: a, ids: [00]}, {name: b}]", "write 0, or 0 if"),
    ("classes=[{name: a, ids: [08]}, {name: b}]", "no zeros in front: write 8$"),
    ("classes=[{name: a, ids: [0_1]}, {name: b}]", "classes.0.ids.0 = '0_1'.*write 1, or 1"),
    ("data.source.ids={road: [007]}", "data.source.ids.road.0 = '007'.*write 7"),
    ("source.iterations=010", "source.iterations = '010': expected a whole number: .*write 10, or 8"),
    ("source.iterations=-01", "source.iterations = '-01'.*zeros in front"),
    ("source.iterations=1:30", "source.iterations = '1:30': expected a whole number: write one number, without"),
    ("source.iterations=1_0", "write digits, with a point"),
    ("source.iterations=1,000", "write digits, with a point"),
    ("source.iterations=0o10", "expected a whole number: write 8"),
    ("source.iterations=1.5", "source.iterations = 1.5: expected a whole number$"),
    ("source.iterations=1e400", "source.iterations = inf: expected a whole number"),
    ("source.iterations=−5", "source.iterations = '−5': expected a whole number: write -5, with plain signs"),
    ("source.iterations=true", "source.iterations = true: expected a whole number"),
    ("source.learning_rate=0,5", "source.learning_rate = '0,5': expected a number: write digits, with a point"),
    ("source.learning_rate=01.5", "no zeros in front"),
    ("source.learning_rate=1e999", "source.learning_rate = inf: expected a finite number"),
    ("source.learning_rate=true", "source.learning_rate = true: expected a number"),
    ("model.encoder=“small”", "model.encoder = '“small”': expected 'resnet101', .*: write small, with plain signs"),
    ("classes=[{name: a, colour: #66a61e}, {name: b}]", "# begins a comment: put a colour in quotes, as in '#66a61e'"),
    ("classes=[{name: a, ids: [#66a61e]}, {name: b}]", "# begins a comment: put a colour in quotes, as in '#66a61e'"),
    ("classes=[{name: a, colour: red}, {name: b}]", "classes.0.colour = 'red': expected a colour as in '#804080'"),
    ("classes=[{name: true}, {name: b}]", "classes.0.name = true: expected text, in quotes"),
    ("classes=[{name: 1}, {name: b}]", "classes.0.name = 1: expected text, in quotes"),
    ("data.source.ids={1: [1]}", "data.source.ids has a key that is no text: 1: put it in quotes"),
    ("data.source.ids={true: [1]}", "data.source.ids has a key that is no text: true: put it in quotes"),
    ("devices=0", "devices = 0: expected auto, cpu"),
    ("devices=[gpu, cpu]", "of one kind"),
    ("devices=[gpu, gpu(0)]", "devices = ..gpu., .gpu.0...: expected auto, .* different devices"),
    ("devices=[]", r"devices = \[\]: expected auto"),
    ("devices=tpu", "devices = 'tpu': expected auto"),
    ("devices=gpu(99999999999999999999)", "expected auto"),
    ("devices=gpu(٣)", "expected auto"),
    ("data.source.root=", "no value: expected one after the =, null for none"),
    ("data.source.root=''", "data.source.root = '': expected a path, not an empty text"),
    ("data.source.root=~", "data.source.root = null: expected text"),
    ('data.source.root="a\\0b"', "data.source.root = 'a.x00b': expected a path, which has no null character"),
    ('data.source.split="a\\0b"', "no null character"),
    ('data.source.split="\\ud800"', "half a character"),
    ('data.source.root="\\ud800"', "half a character"),
    ("data.source.root=" + "x" * 5000, "expected a path of 4095 bytes at most"),
    ("model.weights=''", "model.weights = '': expected a path"),
    ("proxies.size=[64]", r"proxies.size = \[64\]: expected a width and a height"),
    ("proxies.size=64", "proxies.size = 64: expected a width and a height"),
    ("proxies.size=[64, 64, 3]", "expected a width and a height"),
    ("source.input.scale=1", "source.input.scale = 1: expected the lowest and the highest factor"),
    ("evaluation.scales=1.0", "evaluation.scales = 1.0: expected a list"),
    ("evaluation.scales=[]", r"evaluation.scales = \[\]: expected a list of 1 or more"),
    ("source=3", "source = 3: expected a section, that is key: value lines"),
    ("classes=13", "classes = 13: expected 16 or 19, or a list"),
    ("adversarial.discriminators=true", "adversarial.discriminators = true: expected a whole number"),
    ("data.val.root.x=1", "root is a value, not a section"),
    ("=x", "^--set =x: expected key=value"),
    ("a", "^--set a: expected key=value"),
    ("", "^--set : expected key=value"),
    ("source.iterations=[1", "^--set source.iterations=.1: not valid YAML: line 1, column 3: "),
    ("source.iterations: 3", "expected key=value"),
    ("seed=" + "9" * 5000, "seed = '9{99}\\.\\.\\.: expected a whole number"),
    ("seed=0x" + "f" * 5000, "seed = '0xf+\\.\\.\\.: expected a whole number"),
]


@pytest.mark.parametrize(("override", "message"), REFUSED, ids=lambda text: text[:60])
def test_what_cannot_be_meant_is_refused_in_plain_words(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_experiment(BASE, [override])
    assert "\n" not in str(caught.value)
    assert not INTERNALS.search(str(caught.value)), caught.value


def settings_of(section, prefix=""):
    for name, field in section.model_fields.items():
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        below = [kind for kind in kinds if issubclass(kind, BaseModel)]
        yield f"{prefix}{name}"
        for kind in below:
            yield from settings_of(kind, f"{prefix}{name}.")


FORMS = {
    "classes.0": "[{}, {{name: b}}]",
    "classes.0.name": "[{{name: {}}}, {{name: b}}]",
    "classes.0.ids": "[{{name: a, ids: {}}}, {{name: b}}]",
    "classes.0.ids.0": "[{{name: a, ids: [{}]}}, {{name: b}}]",
    "classes.0.colour": "[{{name: a, colour: {}}}, {{name: b}}]",
}
WHOLE = load_experiment(BASE, [f"classes={CLASSES}"]).model_dump(mode="json")
FIELDS = [*settings_of(Experiment), *FORMS]
WRONG = [
    "null",
    "''",
    "x",
    "-1",
    "0",
    "1.5",
    "[]",
    "{}",
    "true",
    ".nan",
    "1e999",
    "-.inf",
    "[1, 2, 3]",
    "[null]",
    "{a: 1}",
]
WRONG += [
    "01",
    "1:30",
    "“x”",
    "9" * 60,
    "'" + "x" * 5000 + "'",
    "0x" + "f" * 30,
    "[[[]]]",
    "'é'",
    '"\\0"',
    "2020-01-01",
    "[x]",
    "1e300",
]


@pytest.mark.parametrize("field", FIELDS)
def test_every_wrong_value_of_every_setting_is_one_line_in_plain_words(monkeypatch, field):
    monkeypatch.setattr(files, "_read", lambda path, seen: copy.deepcopy(WHOLE))
    refused = 0
    for value in WRONG:
        key = field if field not in FORMS else "classes"
        try:
            load_experiment(Path("mine.yaml"), [f"{key}={FORMS.get(field, '{}').format(value)}"])
        except ConfigError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message
            assert len(message) < 1500
            assert field.split(".")[0] in message
            assert re.search("expected|is missing|is not a setting|no text|there twice|is for dataset", message), (
                message
            )
            assert not INTERNALS.search(message), message
    assert refused >= (1 if field.endswith(("split", "suffix", "name")) else 5)
