"""The tables: what is run for each, what is shared and reused, and what is written."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.reproduction.estimate import Estimate, in_words
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import Line, Result, mean_and_deviation, write_table
from gluon_madapt.reproduction.rows import CONFIGS, rows_of
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.stages.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gluon_madapt.stages.run import STAGE_TOOLS

FULL_SIZE = {name: ROOT / "configs" / f"{name}.yaml" for names in CONFIGS.values() for name in names}


def plan_of(table, config=CONFIG, overrides=(), folder=Path("run")):
    plan = Plan(ROOT, config, overrides, 3, folder)
    return plan, [plan.add(row) for row in rows_of(table, plan.run.experiment)]


def tools_of(plan):
    return [Path(step.command[1]).name for step in plan.steps.values()]


def test_the_rows_carry_the_papers_numbers():
    published = {
        (table, name): [row.published and row.published["miou"] for row in rows_of(table, load_experiment(config))]
        for table, names in CONFIGS.items()
        for name, config in FULL_SIZE.items()
        if name in names
    }
    assert published == {
        (1, "gta5_vgg16"): [27.9, 39.0],
        (1, "gta5_resnet101"): [38.1, 50.4],
        (2, "synthia_vgg16"): [20.6, 36.8],
        (2, "synthia_resnet101"): [33.4, 45.0],
        (3, "gta5_resnet101"): [38.1, None, None, 41.5, 42.7, None, 47.1, 49.8, 50.4],
        (4, "gta5_resnet101"): [
            46.7,
            49.3,
            49.7,
            47.0,
            47.9,
            49.4,
            49.8,
            46.1,
            46.9,
            47.9,
            45.8,
            46.3,
            47.0,
            47.7,
            None,
        ],
    }


def test_table_3_shares_the_source_model():
    plan, scorings = plan_of(3)
    tools = tools_of(plan)
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 3, 3, 3]
    assert len({step.scores for step in scorings}) == 9
    assert all(set(step.needs) <= set(plan.steps) for step in plan.steps.values())
    assert all("--seed 3" in " ".join(step.command) for step in plan.steps.values())


def test_table_4_shares_all_but_labels_and_retraining():
    plan, scorings = plan_of(4)
    tools = tools_of(plan)
    # 14 settings, and the control with its own adversarial model.
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 2, 15, 15]
    assert len({step.scores for step in scorings}) == 15
    proxies = [step for step in plan.steps.values() if step.stage == "proxies"]
    caches = [step.command[step.command.index("--cache") + 1] for step in proxies]
    assert caches.count("run/cache") == 14
    first = next(step.name for step in proxies if "run/cache" in step.command)
    sharing = [step for step in proxies if "run/cache" in step.command and step.name != first]
    assert all(first in step.after for step in sharing), "two processes must not run the networks over the same images"
    (middle,) = [step for step in scorings if step.scores == Path("run/scores/retrain.json")]
    assert middle.run.experiment.proxies.p1 == 0.6, "the paper's own setting is the experiment itself"


def test_an_ablation_that_the_experiment_already_is_has_no_folder_of_its_own():
    plan, _ = plan_of(3, overrides=["adversarial.discriminators=1"])
    assert "one_discriminator/adversarial" not in plan.steps


def test_ablations_are_complete_experiments_too():
    base = load_experiment(FULL_SIZE["gta5_resnet101"])
    for path in sorted((ROOT / "configs" / "ablations").glob("*.yaml")):
        experiment = load_experiment(path)
        changed = {key for key in type(base).model_fields if getattr(base, key) != getattr(experiment, key)}
        expected = set() if path.stem == "p1_0.6_p2_0.8" else {"adversarial", "evaluation", "proxies"}
        assert changed - {"name"} <= expected
        assert len(changed) == 1 + bool(expected)


def test_a_table_of_another_source_is_refused():
    with pytest.raises(UserError, match="table 2 is SYNTHIA to Cityscapes: the source of experiment mini-gta5 is gta5"):
        plan_of(2)


@pytest.mark.parametrize("name", sorted(FULL_SIZE))
def test_a_dry_run_at_full_size_needs_no_data_and_says_what_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Estimate, "_once", lambda self, run, key, measure: 2.0)
    table = next(table for table, names in CONFIGS.items() if name in names)
    reproduction = Reproduction(ROOT, table, [FULL_SIZE[name]])
    text = Estimate().describe(reproduction.plans)
    assert "| source " in text
    # 80,000, 10,000 and 60,000 iterations, 2,975 proxies and twice 500 images to score, of two seconds each.
    assert f"time left, one command after the other: {in_words(2.0 * (150_000 + 2975 + 1000))}" in text
    source = name.split("_")[0]
    missing = reproduction.missing()
    assert [line.split(":")[0] for line in missing] == ["data.source", "model.weights", "data.val", "data.target"]
    assert f"data/{source}: no such folder: expected {source}, that is " in missing[0]
    assert not list(tmp_path.iterdir())


def test_durations_in_words():
    assert [in_words(seconds) for seconds in (None, 35, 150, 7200, 86400 * 31)] == [
        "not known",
        "35 s",
        "2.5 min",
        "2.0 h",
        "31 days",
    ]


def test_an_estimate_measures_every_stage_on_this_machine(tiny_world, tmp_path):
    plan, _ = plan_of(3, overrides=small_settings(tiny_world), folder=tmp_path)
    estimate = Estimate()
    seconds = {step.name: estimate.seconds(step) for step in plan.steps.values()}
    assert all(value > 0 for value in seconds.values())
    assert seconds["retrain"] == seconds["no_adversary/retrain"], "what is the same is measured once"


@pytest.fixture(scope="module")
def reproduced(tiny_world, tmp_path_factory):
    """Table 1, then two rows of Table 4, in one run folder; their outputs by table."""
    folder = tmp_path_factory.mktemp("reproduced")
    settings = [word for one in small_settings(tiny_world, iterations=2) for word in ("--set", one)]
    common = [sys.executable, str(ROOT / "tools" / "reproduce.py"), "--config", str(CONFIG), *settings, "--jobs", "2"]
    rows = ["--row", "p1 0.6, p2 0.8", "--row", "p1 0.5, p2 0.8"]
    done = {}
    for table, arguments in ((1, []), (4, rows)):
        command = [*common, "--run-dir", "run", "--table", str(table), *arguments]
        done[table] = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return folder, done


def test_a_table_is_written_three_times_over(reproduced):
    folder, done = reproduced
    assert done[1].returncode == 0, done[1].stderr
    written = json.loads((folder / "run" / "tables" / "table-1.json").read_text())
    source = written["rows"][0]
    (result,) = source["results"]
    score = json.loads((folder / "run" / "scores" / "source.json").read_text())
    assert source["mean"] == result["scores"]["miou"] == score["miou"]
    assert result["seed"] == 1
    assert result["run_folder"] == "run"
    assert score["trained_by"] == score["scored_by"]
    text = (folder / "run" / "tables" / "table-1.md").read_text()
    assert text in done[1].stdout
    for expected in (f"{score['miou']:.1f}", f"{score['miou'] - 38.1:+.1f}", "quoted from ref 48", score["trained_by"]):
        assert expected in text
    lines = [line for line in text.splitlines() if line.startswith("| source only, ") and "quoted" not in line]
    assert [line.split("|")[1].strip() for line in lines[:3]] == ["source only, resnet101", *["source only, small"] * 2]
    records = list(csv.DictReader((folder / "run" / "tables" / "table-1.csv").open()))
    assert float(records[0]["reproduced"]) == score["miou"]
    assert float(records[0]["published road"]) == 64.3
    assert float(records[0]["reproduced road"]) == score["iou"]["road"]


def test_what_is_done_is_not_done_again(reproduced):
    folder, done = reproduced
    assert done[4].returncode == 0, done[4].stderr
    logs = sorted(path.name for path in (folder / "run" / "logs").iterdir())
    assert [name for name in logs if "source" in name] == ["score-source.log", "source.log"]
    for shared in ("source", "adversarial", "retrain", "proxies"):
        assert (folder / "run" / "logs" / f"{shared}.log").read_text().count("$ ") == 1
    variant = folder / "run" / "p1_0.5_p2_0.8"
    assert sorted(path.name for path in variant.iterdir()) == ["proxies", "retrain", "scores"]
    metrics = json.loads((variant / "proxies" / "metrics.json").read_text())
    assert metrics["p1"] == 0.5
    assert "network pass" not in (folder / "run" / "logs" / "p1_0.5_p2_0.8-proxies.log").read_text()


def test_rows_that_were_not_run_say_so(reproduced):
    folder, done = reproduced
    rows = json.loads((folder / "run" / "tables" / "table-4.json").read_text())["rows"]
    assert [row["row"] for row in rows if row["mean"] is not None] == ["p1 0.5, p2 0.8", "p1 0.6, p2 0.8"]
    assert sum("  not run |" in line and "p1 1.0" in line for line in done[4].stdout.splitlines()) == 8
    assert "13 of 15 results were not run yet" in done[4].stdout


def test_scores_of_another_checkpoint_or_protocol_do_not_count(reproduced, tiny_world):
    folder, _ = reproduced
    settings = small_settings(tiny_world, iterations=2)
    plan = Plan(ROOT, CONFIG, settings, None, folder / "run")
    row = rows_of(1, plan.run.experiment)[0]
    assert plan.scores_of(plan.add(row)) is not None
    assert set(plan.states().values()) == {"done"}
    other = Plan(ROOT, CONFIG, [*settings, "evaluation.short_side.source=64"], None, folder / "run")
    assert other.scores_of(other.add(row)) is None
    assert other.states() == {"source": "done", "score source": "to run"}


def test_a_stage_that_was_stopped_is_to_be_finished(reproduced, tiny_world, tmp_path):
    folder, _ = reproduced
    shutil.copytree(folder / "run" / "source", tmp_path / "source")
    path = tmp_path / "source" / "checkpoint.npz"
    checkpoint = read_checkpoint(path)
    write_checkpoint(path, Checkpoint(dict(checkpoint.meta, iteration=1), checkpoint.arrays))
    plan = Plan(ROOT, CONFIG, small_settings(tiny_world, iterations=2), None, tmp_path)
    plan.add(rows_of(1, plan.run.experiment)[0])
    assert plan.states() == {"source": "to finish: 1 of 2 iterations are done", "score source": "to run"}


def test_a_stage_that_was_begun_otherwise_is_refused_before_anything_runs(reproduced, tiny_world):
    folder, _ = reproduced
    settings = [*small_settings(tiny_world, iterations=2), "source.learning_rate=0.5"]
    plan = Plan(ROOT, CONFIG, settings, None, folder / "run")
    plan.add(rows_of(1, plan.run.experiment)[1])
    with pytest.raises(
        UserError, match=r"source: this stage was begun otherwise \(source.learning_rate was 0.04, now 0.5"
    ):
        plan.states()


def test_means_and_deviations(tmp_path):
    assert [mean_and_deviation(values) for values in ([], [36.25], [36.0, 37.0])] == ["not run", "36.2", "36.5 ± 0.7"]
    row = rows_of(3, load_experiment(CONFIG))[0]
    scored = [Result(seed, "run", {"miou": miou, "iou": {}, "trained_by": "x", "scored_by": "x"})
              for seed, miou in enumerate((30.0, 32.0))]  # fmt: skip
    text = write_table(3, [Line("mini", "small", row, [*scored, Result(2, "run", None)])], tmp_path, "the command")
    assert "31.0 ± 1.4" in text
    assert "-7.1" in text
    assert "1 of 3 results were not run yet" in text
    assert "of another network, or on other data" in text
