"""What earlier versions wrote of AdaBN, which they called `refresh`, is understood and made no second time."""

import hashlib
import json
import logging

import numpy as np
import pytest
import yaml
from conftest import ROOT
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.config.renamed import _warn
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import protocol_of, score_stage
from gluon_madapt.files.archives import read_archive, write_archive
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json, write_json
from gluon_madapt.proxy_maps import network_pass
from gluon_madapt.report.facts import stored_run
from gluon_madapt.reproduction.plan import Plan, Step
from gluon_madapt.reproduction.reuse import DONE, reuse_of, scores_of
from gluon_madapt.reproduction.rows import Row, current_text, rows_of
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages import Run, make_proxies, train_adversarial, train_source

ADABN = ("proxies.adabn_batches=3", "evaluation.adabn_batches=2")
FORMER_ROWS = (
    "source only, statistics refreshed on target",
    "two discriminators, statistics refreshed",
    "two discriminators, proxies, statistics refreshed",
    "two discriminators, proxies of refreshed statistics",
    "two discriminators, proxies of refreshed statistics, statistics refreshed",
)


@pytest.fixture(autouse=True)
def every_warning():
    _warn.cache_clear()


@pytest.fixture
def former(tiny_world, tmp_path):
    """A run of the first three stages with AdaBN before stage 3, as an earlier version left it."""
    run = Run(small_experiment(tiny_world, *ADABN), tmp_path / "run")
    for stage in (train_source, train_adversarial, make_proxies):
        stage(run)
    for path in run.folder.glob("*/config.yaml"):
        values = yaml.safe_load(path.read_text())
        for section in ("proxies", "evaluation"):
            values[section]["refresh"] = values[section].pop("adabn_batches")
        path.write_text(yaml.dump(values, sort_keys=False))
    in_former_words(run.folder / "cache" / "inputs.json")
    made_from = read_json(run.folder / "cache" / "inputs.json")
    mark = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).digest()
    for path in (run.folder / "cache").rglob("*.npz"):
        arrays = read_archive(path)
        arrays["made_from"] = np.frombuffer(mark, np.uint8)
        with path.open("wb") as file:
            write_archive(file, arrays)
    return run


def in_former_words(path):
    path.write_text(path.read_text().replace('"adabn"', '"refresh"'))


def test_files_and_flags_with_the_former_keys_are_understood_with_a_warning(tmp_path, caplog):
    path = tmp_path / "own.yaml"
    path.write_text(f"base: {CONFIG}\nproxies: {{refresh: 7}}\n")
    for override in ("evaluation.refresh=5", "evaluation={short_side: {}, scales: [1.0], refresh: 5}"):
        experiment = load_experiment(path, [override])
        assert (experiment.proxies.adabn_batches, experiment.evaluation.adabn_batches) == (7, 5)
        assert f"--set {override}: evaluation.refresh is now called evaluation.adabn_batches" in caplog.text
    assert caplog.text.count(f"{path}: proxies.refresh is now called proxies.adabn_batches") == 1
    with pytest.raises(ConfigError, match=r"proxies\.refresh is not a setting"):
        load_experiment(path, ["proxies={p1: 1, p2: 1, size: null, refresh: 1, adabn_batches: 2}"])


def test_a_former_run_is_taken_as_it_is(former, monkeypatch, caplog):
    before = {path: path.stat().st_mtime_ns for path in (former.folder / "proxies").rglob("*.png")}
    monkeypatch.setattr(network_pass, "load_networks", None)
    with caplog.at_level(logging.WARNING):
        again = stored_run(former.folder)
    assert again.experiment == former.experiment
    assert "is now called" not in caplog.text
    assert not any(again.changes(stage) for stage in ("source", "adversarial", "proxies"))
    make_proxies(former)
    assert {path: path.stat().st_mtime_ns for path in (former.folder / "proxies").rglob("*.png")} == before
    for name in ("metrics.json", "proxies.json"):
        (former.folder / "proxies" / name).unlink()
    make_proxies(former)  # from the stored maps, whose hash is of the former name
    assert read_json(former.folder / "cache" / "inputs.json")["adabn"]["batches"] == 3
    proxies = former.experiment.proxies.model_copy(update={"adabn_batches": 4})
    other = Run(former.experiment.model_copy(update={"proxies": proxies}), former.folder)
    with pytest.raises(UserError, match=r"proxies\.adabn_batches was 3, now 4"):
        make_proxies(other)


def test_former_scores_count(former):
    checkpoint = former.folder / "source" / "checkpoint.npz"
    scores = score_stage(former, load_any_segmenter(former, checkpoint)[0], "source", False)
    path = former.folder / "scores" / "source.json"
    write_json(path, dict(scores, checkpoint_sha256=sha256(checkpoint), seed=former.experiment.seed))
    in_former_words(path)
    assert '"refresh"' in path.read_text()
    found = scores_of(Step("x", former, "source", (), (), path, checkpoint))
    assert found["protocol"] == protocol_of(former, "source", False)
    write_json(path, dict(read_json(path), protocol="damaged"))
    assert scores_of(Step("x", former, "source", (), (), path, checkpoint)) is None


def test_the_folder_of_a_former_variant_is_used(former, tiny_world):
    place = former.folder
    for stage in ("proxies", "cache"):
        (place / "refreshed_proxies").mkdir(exist_ok=True)
        (place / stage).rename(place / "refreshed_proxies" / stage)
    settings = [*small_settings(tiny_world), "evaluation.adabn_batches=2"]
    plan = Plan(ROOT, CONFIG, settings, None, place)
    plan._changes = lambda variant: ["proxies.adabn_batches=3"] if variant else []
    plan.add(Row("any", "retrain", "adabn_proxies"))
    step = plan.steps["adabn_proxies/proxies"]
    assert step.run.folder == place / "refreshed_proxies"
    assert reuse_of(plan)[step.name].kind == DONE


def test_former_texts_name_rows_of_now():
    rows = [row.text for row in rows_of(3, load_experiment(CONFIG), beyond=True)]
    assert {current_text(text) for text in FORMER_ROWS} < {text for text in rows if "AdaBN" in text}
    assert all(current_text(text) == text for text in rows)
