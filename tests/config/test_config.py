from pathlib import Path
from typing import get_args

import pytest
from conftest import ROOT
from pydantic import BaseModel

from gluon_madapt.config import ConfigError, Experiment, load_experiment

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_config_of_the_project_loads(path):
    assert load_experiment(path).seed == 1


def test_the_base_holds_the_papers_settings():
    experiment = load_experiment(ROOT / "configs" / "base.yaml")
    assert (experiment.source.iterations, experiment.source.batch_size, experiment.source.learning_rate) == (
        80000,
        4,
        4e-3,
    )
    assert (experiment.adversarial.iterations, experiment.adversarial.learning_rate) == (10000, 1e-4)
    assert (experiment.proxies.p1, experiment.proxies.p2) == (0.6, 0.8)
    assert (experiment.retrain.iterations, experiment.retrain.input.crop) == (60000, (640, 640))


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_file_states_only_what_differs_from_its_base(write):
    write("deep.yaml", f"base: {ROOT}/configs/base.yaml\nsource: {{iterations: 7}}")
    experiment = load_experiment(write("mine.yaml", "base: deep.yaml\nsource: {batch_size: 2}"))
    assert (experiment.source.iterations, experiment.source.batch_size, experiment.name) == (7, 2, "mine")


def test_overrides_come_last(write):
    path = write("mine.yaml", f"base: {ROOT}/configs/base.yaml\nseed: 5")
    experiment = load_experiment(path, ["source.learning_rate=2e-3", "retrain.input.crop=[64, 32]"], seed=9)
    assert (experiment.source.learning_rate, experiment.retrain.input.crop, experiment.seed) == (2e-3, (64, 32), 9)


def test_the_resolved_config_reads_back_as_the_same_experiment(write):
    experiment = load_experiment(ROOT / "configs" / "base.yaml")
    assert load_experiment(write("resolved.yaml", experiment.to_yaml())) == experiment


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source.iteration=3", "source.iteration is not a setting: did you mean source.iterations?"),
        ("data.val.rot=x", "data.val.rot is not a setting: did you mean data.val.root?"),
        ("<=1", "< is not a setting: expected one of name"),
        ("<one>=1", "<one> is not a setting: expected one of name"),
        ("source.<list>=1", "source.<list> is not a setting: expected one of "),
        ("zzz=1", "zzz is not a setting: expected one of name, devices, repeatable_sums, seed"),
        ("source.iterations=many", "source.iterations = 'many': expected a whole number"),
        ("source.iterations=2.5", "source.iterations = 2.5: expected a whole number"),
        ("source.iterations=0", "source.iterations = 0: expected greater than 0"),
        ("proxies.p1=1.5", "proxies.p1 = 1.5: expected less than or equal to 1"),
        ("proxies.p1=.nan", "proxies.p1 = nan: expected a finite number"),
        ("classes=13", "classes = 13: expected 16 or 19"),
        ("model.encoder=resnet50", "model.encoder = 'resnet50': expected 'resnet101', 'vgg16' or 'small'"),
        ("source.input.size=[64, 32]", "size and short_side exclude each other"),
        ("source.input.scale=[2, 1]", "scale must be two positive factors"),
        ("proxies.size=[0, -5]", "proxies.size.0 = 0: expected greater than or equal to 32"),
        ("adversarial.target_input.size=[16, 64]", "adversarial.target_input.size.0 = 16: expected greater"),
        ("evaluation.scales=[-1.0]", "evaluation.scales.0 = -1.0: expected greater than 0"),
        ("source=3", "source = 3: "),
        ("source.iterations.x=3", "--set source.iterations.x=3: iterations is a value, not a section"),
        ("nonsense", "--set nonsense: expected key=value"),
        ("seed=[", "--set seed=[: not valid YAML"),
        ("seed=2020-01-01", "seed = '2020-01-01': expected a whole number"),
    ],
)
def test_a_bad_setting_is_named_with_what_was_expected(override, message):
    with pytest.raises(ConfigError) as caught:
        load_experiment(ROOT / "configs" / "base.yaml", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected an experiment, that is 'key: value' lines: it is [1, 2]"),
        ("", "lines: it is empty"),
        ("a: [", "not valid YAML"),
        ("base: 3", "base is 3: expected the path"),
        ("base: nowhere.yaml", "nowhere.yaml, the base of"),
        ("base: mine.yaml", "is its own base"),
        ("seed: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("3: 4", "has a key that is no text: 3"),
    ],
)
def test_a_bad_file_is_named(write, text, message):
    path = write("mine.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert message in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_missing_file():
    with pytest.raises(ConfigError, match="cannot be read"):
        load_experiment(Path("nowhere.yaml"))


def test_every_setting_of_the_schema_is_in_the_base_or_has_a_default():
    load_experiment(ROOT / "configs" / "base.yaml")
    base = (ROOT / "configs" / "base.yaml").read_text()
    missing = [name for name in keys(Experiment) if f"{name}:" not in base]
    assert set(missing) <= {"name"}


def keys(section):
    for name, field in section.model_fields.items():
        yield name
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        for kind in kinds:
            if issubclass(kind, BaseModel):
                yield from keys(kind)
