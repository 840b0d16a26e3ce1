"""Scores, rows of tables and pages are of the checkpoints, images and labels that are there now, or it is said."""

import json
import os
import shutil
from pathlib import Path

import pytest
from altered_files import SOURCE, SOURCE_LABELS, TARGET, alter
from conftest import ROOT
from report_runs import SCORED
from small_experiments import CONFIG, small_experiment, small_settings

from gluon_madapt.data import file_cache
from gluon_madapt.evaluation.protocol import score_stage
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import write_json
from gluon_madapt.report.facts import facts_of, outdated
from gluon_madapt.report.figures import figure_of_thresholds
from gluon_madapt.report.scored import scores_in
from gluon_madapt.report.threshold_figure import draw_thresholds
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.reuse import DONE, REFUSED, TO_RUN, forget_images, reuse_of, scores_of
from gluon_madapt.reproduction.rows import rows_of
from gluon_madapt.reproduction.steps import Step
from gluon_madapt.runs.trained import load_any_segmenter
from gluon_madapt.stages import Run

VAL, VAL_LABELS = "cityscapes/leftImg8bit/val", "cityscapes/gtFine/val"


@pytest.fixture
def world(tiny_world, tmp_path):
    shutil.copytree(tiny_world, tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def folder(scored_run, tmp_path):
    shutil.copytree(scored_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def scores(scored_run, tiny_world):
    """What eval.py writes of the source model."""
    run = Run(small_experiment(tiny_world, SCORED, iterations=2), scored_run)
    path = scored_run / "source" / "checkpoint.npz"
    net, _ = load_any_segmenter(run, path)
    step = Step("x", run, "source", (), (), Path(), path)
    return dict(score_stage(run, net, step.stage, False), checkpoint_sha256=sha256(path), seed=1)


def plan_of(world, folder):
    settings = [*small_settings(world, 2), SCORED]
    plan = Plan(ROOT, CONFIG, settings, None, folder)
    (row,) = [
        one for one in rows_of(3, plan.run.experiment) if one.text.startswith("source only") and not one.multi_scale
    ][:1]
    return plan, plan.add(row)


@pytest.fixture
def scored(folder, scores):
    write_json(folder / "scores" / "source.json", scores)
    return folder


@pytest.mark.parametrize(
    ("altered", "kind"),
    [(None, DONE), (VAL, TO_RUN), (VAL_LABELS, TO_RUN), (SOURCE, REFUSED), (SOURCE_LABELS, REFUSED), (TARGET, DONE)],
)
def test_a_row_of_a_table_is_of_what_is_there_now(scored, world, altered, kind):
    if altered:
        alter(world / altered)
    plan, step = plan_of(world, scored)
    states = reuse_of(plan)
    found = {states[name].kind for name in (*step.needs, step.name)}
    assert kind in found
    assert found <= {DONE, kind, TO_RUN}
    assert (states[step.name].kind == DONE) == (kind == DONE)


def test_it_is_looked_again_each_time(scored, world):
    plan, step = plan_of(world, scored)
    assert reuse_of(plan)[step.name].kind == DONE
    alter(world / VAL_LABELS)
    assert reuse_of(plan)[step.name].kind == TO_RUN


def test_a_plan_of_what_is_not_begun_reads_no_image(world, tmp_path, monkeypatch):
    monkeypatch.setattr(file_cache, "_digest", None)
    plan, step = plan_of(world, tmp_path / "nothing")
    assert {state.kind for state in reuse_of(plan).values()} == {TO_RUN}


def test_a_row_of_other_weights_is_refused(scored, world):
    path = scored / "source" / "inputs.json"
    inputs = json.loads(path.read_text())
    path.write_text(json.dumps(dict(inputs, weights="0" * 64)))
    plan, step = plan_of(world, scored)
    state = reuse_of(plan)[step.needs[0]]
    assert state.kind == REFUSED
    assert "made from.weights was 000" in state.why


def test_scores_of_classes_of_other_names_are_none(scored, world):
    path = scored / "scores" / "source.json"
    scores = json.loads(path.read_text())
    scores["iou"]["street"] = scores["iou"].pop("road")
    path.write_text(json.dumps(scores))
    plan, step = plan_of(world, scored)
    assert scores_of(step) is None


def test_scores_of_an_older_record_count(scored, world):
    plan, step = plan_of(world, scored)
    path = scored / "scores" / "source.json"
    older = plan.run.dataset("val", labelled=True).fingerprint.older
    path.write_text(json.dumps(dict(json.loads(path.read_text()), made_from={"val": older})))
    assert scores_of(step) is not None


def facts(world, folder):
    forget_images()
    return facts_of(Run(small_experiment(world, SCORED, iterations=2), folder))


@pytest.mark.parametrize("altered", [VAL, VAL_LABELS])
def test_a_page_shows_no_scores_of_another_val_split(scored, world, altered):
    assert len(scores_in(facts(world, scored))) == 3
    alter(world / altered)
    found = facts(world, scored)
    assert scores_in(found) == []
    assert "scores/source.json: is of another checkpoint, protocol, seed or other images" in found.problems[0]
    expected = [
        f"{scored / stage / 'metrics.json'}: its scores are of another val split than there is now: not shown"
        for stage in ("source", "adversarial", "retrain")
    ]
    assert found.problems[1:] == expected


@pytest.mark.parametrize(
    ("altered", "lines"),
    [
        (None, []),
        (
            SOURCE,
            ["source: images (other images, the same label files)", "adversarial: source (other images, the same"],
        ),
        (SOURCE_LABELS, ["source: images (other label files, the same", "adversarial: source (other label files, the"]),
        (TARGET, ["adversarial: target (other", "proxies: images (other images)", "retrain: images (other images)"]),
    ],
)
def test_a_page_says_which_stages_are_of_other_content(folder, world, altered, lines):
    if altered:
        alter(world / altered)
    found = outdated(facts(world, folder))
    assert len(found) == len(lines)
    for line, (stage, words) in zip(found, (one.split(": ") for one in lines)):
        assert line.startswith(f"{folder / stage}: was made from something else than there is now: {words}")


@pytest.mark.parametrize(
    ("replaced", "by", "lines"),
    [
        ("source", "adversarial", ["adversarial: checkpoint", "retrain: start"]),
        ("adversarial", "source", ["proxies: checkpoint"]),
    ],
)
def test_a_page_says_where_a_checkpoint_is_another_one(folder, world, replaced, by, lines):
    shutil.copy(folder / by / "checkpoint.npz", folder / replaced / "checkpoint.npz")
    stages = [line.split(": ") for line in lines]
    expected = [f"{folder / one}: was made from something else than there is now: {words}" for one, words in stages]
    assert outdated(facts(world, folder)) == expected


def test_a_picture_of_thresholds_is_of_the_proxies_that_are_there(folder, world):
    run = Run(small_experiment(world, SCORED, iterations=2), folder)
    drawn, record = draw_thresholds(run).path, folder / "proxies" / "proxies.json"

    class FigureFolder:
        folder = drawn.parent.parent / "album"

        def add(self, name, content, alt, dots):
            return content

    assert figure_of_thresholds(facts(world, folder), FigureFolder()) == drawn.read_bytes()
    os.utime(record, None)
    assert figure_of_thresholds(facts(world, folder), FigureFolder()) == drawn.read_bytes(), "as after copying"
    values = json.loads(record.read_text())
    values["t2"] = {name: value / 2 for name, value in values["t2"].items()}
    record.write_text(json.dumps(values))
    os.utime(record, (0, 0))
    assert figure_of_thresholds(facts(world, folder), FigureFolder()) != drawn.read_bytes()
