"""Whatever stands in a config: a clean error of one line, or a valid experiment."""

import string

import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_madapt.config import ConfigError, Experiment, load_experiment

BASE = ROOT / "configs" / "base.yaml"
KNOWN = load_experiment(BASE).model_dump(mode="json")


def leaves(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


KEYS = sorted(leaves(KNOWN))
words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-5, 40),
    st.integers(10**18, 10**40),
    st.floats(),
    words,
    st.sampled_from(["nan", ".inf", "cpu(0)", "[", "2001-01-01", "0x10", "1e400", "-0", "~", "auto", "gta5"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)
sections = st.dictionaries(st.one_of(st.sampled_from([key.split(".")[-1] for key in KEYS]), words), values, max_size=5)


def outcome(load):
    """Return whether it is an experiment or a clean error; anything else is raised."""
    try:
        experiment = load()
    except ConfigError as error:
        assert str(error).strip()
        return "error"
    assert isinstance(experiment, Experiment)
    return "experiment"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("configs")


def loaded(folder, text, overrides=()):
    path = folder / "fuzzed.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return outcome(lambda: load_experiment(path, overrides))


@settings(max_examples=300, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(list(KNOWN)), st.one_of(values, sections), max_size=4))
def test_generated_settings(folder, changes):
    text = yaml.safe_dump({"base": str(BASE), **changes}, allow_unicode=True)
    loaded(folder, text)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(KEYS), value=values)
def test_generated_values_of_every_setting(folder, key, value):
    try:
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6).replace("\n...", "").strip()
    except yaml.YAMLError:
        return
    loaded(folder, f"base: {BASE}\n", [f"{key}={text}"])


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.text(string.printable, max_size=200), st.binary(max_size=200)))
def test_generated_text(folder, text):
    loaded(folder, text)
    loaded(folder, f"base: {BASE}\n".encode() + (text if isinstance(text, bytes) else text.encode("utf-8", "ignore")))


@settings(max_examples=200, deadline=None)
@given(override=st.text(max_size=60))
def test_generated_overrides(override):
    outcome(lambda: load_experiment(BASE, [override]))


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij")
)
MAPPING_BOMB = "a: &a {x: 1, y: 1, z: 1}\n" + "".join(
    f"{new}: &{new} {{x: *{old}, y: *{old}, z: *{old}}}\n" for old, new in zip("abcdefghijklmno", "bcdefghijklmnop")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "more than 10000 values"),
        (MAPPING_BOMB, "more than 10000 values"),
        ("source: &a {input: *a}", "more than 10000 values|not valid YAML"),
        ("source: &a [*a]", "more than 10000 values|not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("!!python/name:os.system", "not valid YAML"),
        ("? [a, b]\n: 1", "not valid YAML"),
        ("a\0b", "not valid YAML"),
        ("seed: 1\nseed: 2", "seed is there twice"),
        ("source: {momentum: 0.1, momentum: 0.2}", "momentum is there twice"),
        ("seed: " + "9" * 5000, "not valid YAML|seed = "),
        ("- a", "expected an experiment"),
        ("seed: !!binary aGVsbG8=", "seed = "),
        ("seed: !!set {a}", "seed = "),
        ("seed: !!timestamp 2001-01-01", "seed = "),
        ("1: 2", "has a key that is no text"),
        ("base: [a]", "base is .* expected the path"),
        ("base: nowhere.yaml", "cannot be read"),
        ("base: /dev/zero", "it is no file"),
        ("base: .", "it is no file"),
        ("base: 'a\\0b'", "cannot be read"),
        ('base: "a\\0b"', "base is .* expected the path"),
    ],
)
def test_what_is_wrong_is_said(folder, text, message):
    path = folder / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_experiment(path)


def test_a_config_that_is_its_own_base_by_a_detour(folder):
    (folder / "one.yaml").write_text("base: two.yaml\n")
    (folder / "two.yaml").write_text("base: one.yaml\n")
    with pytest.raises(ConfigError, match="is its own base, by way of"):
        load_experiment(folder / "one.yaml")


def test_a_large_file_is_not_read(folder):
    path = folder / "large.yaml"
    path.write_text("a: 1\n" * 300_000)
    with pytest.raises(ConfigError, match="bytes"):
        load_experiment(path)
