"""Rows of other methods, measured here: what is run for each, what finished runs are used again, what each cost."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from report_runs import SCORED, page_of
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import write_json
from gluon_madapt.report.page import write_report
from gluon_madapt.reproduction.compared import compared_rows
from gluon_madapt.reproduction.costs import cost_of, seconds_of
from gluon_madapt.reproduction.estimate import Estimate
from gluon_madapt.reproduction.layout import layout_of, markdown
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import Cost, TableRow, table_of
from gluon_madapt.reproduction.reuse import DONE, TO_RUN, reuse_of
from gluon_madapt.reproduction.rows import CONTROL, MEASURED, SOURCE_ONLY, rows_of
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.reproduction.writing import write_table
from gluon_madapt.run_layout import STAGE_TOOLS

CAMVID = ROOT / "configs" / "photographs" / "camvid.yaml"
# Of any settings that are theirs alone: what is planned goes by the names.
VARIANTS = {
    "aligned_outputs": "adversarial: {lambda_1: 2.0e-3}",
    "aligned_outputs_no_adversary": "adversarial: {lambda_1: 0, lambda_2: 0}",
    "aligned_outputs_adabn_score": "evaluation: {adabn_batches: 50}",
    "aligned_outputs_no_adversary_adabn_score": "evaluation: {adabn_batches: 50}",
}
# Settings that runs of earlier versions do not name.
NEW = ("model: adversarial", "p2_growth:", "p2_most:", "learns_from:", "source_input: null", "rounds:")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The project, with variants of output-space alignment that state little."""
    root = tmp_path_factory.mktemp("project")
    (root / "tools").symlink_to(ROOT / "tools")
    shutil.copytree(ROOT / "configs", root / "configs")
    for name, text in VARIANTS.items():
        base = "../gta5_resnet101.yaml" if name == "aligned_outputs" else "aligned_outputs.yaml"
        if name == "aligned_outputs_no_adversary_adabn_score":
            base = "aligned_outputs_no_adversary.yaml"
        (root / "configs" / "ablations" / f"{name}.yaml").write_text(f"base: {base}\n{text}\n")
    return root


def plan_of(root, config=CONFIG, overrides=(), folder=Path("run"), table=3):
    plan = Plan(root, config, overrides, None, folder)
    rows = [*rows_of(table, plan.run.experiment), *compared_rows(table)]
    return plan, {row.text: plan.add(row) for row in rows}


def test_table_3_has_the_other_methods_and_says_that_they_were_measured():
    rows = compared_rows(3)
    assert [(row.text[: -len(f", {MEASURED}")], row.stage, row.variant, row.number) for row in rows] == [
        ("AdaptSegNet-style", "adversarial", "aligned_outputs", 1),
        ("AdaptSegNet-style, AdaBN", "adversarial", "aligned_outputs_adabn_score", 1),
        ("AdaptSegNet-style, weights x 100", "adversarial", "aligned_outputs_x100", 1),
        ("AdaptSegNet-style, weights x 100, AdaBN", "adversarial", "aligned_outputs_x100_adabn_score", 1),
        ("AdaptSegNet-style control: adversarial weight 0", "adversarial", "aligned_outputs_no_adversary", 1),
        (
            "AdaptSegNet-style control: adversarial weight 0, AdaBN",
            "adversarial",
            "aligned_outputs_no_adversary_adabn_score",
            1,
        ),
        *((f"CBST-style, round {number}", "retrain", "class_balanced", number) for number in (1, 2, 3)),
        ("CBST-style, round 3, AdaBN", "retrain", "class_balanced_adabn_score", 3),
        ("output-space discriminators, proxies", "retrain", "aligned_outputs", 1),
        ("output-space discriminators, proxies, AdaBN", "retrain", "aligned_outputs_adabn_score", 1),
        ("output-space discriminators, weights x 100, proxies", "retrain", "aligned_outputs_x100", 1),
        (
            "output-space discriminators, weights x 100, proxies, AdaBN",
            "retrain",
            "aligned_outputs_x100_adabn_score",
            1,
        ),
    ]
    assert all(row.text.endswith(", measured here") and row.published is None for row in rows)


@pytest.mark.parametrize("table", [1, 2])
def test_tables_1_and_2_have_one_row_of_each(table):
    rows = compared_rows(table)
    assert [row.text for row in rows] == [
        "source only, AdaBN, measured here",
        "control: adversarial weights 0, measured here",
        "AdaptSegNet-style, measured here",
        "AdaptSegNet-style, weights x 100, measured here",
        "CBST-style, round 3, measured here",
        "output-space discriminators, proxies, measured here",
        "output-space discriminators, weights x 100, proxies, measured here",
    ]


def test_table_4_has_none():
    with pytest.raises(UserError, match="--compare adds rows to tables 1, 2 and 3"):
        compared_rows(4)


@pytest.mark.parametrize("table", [1, 3])
@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("class_balanced", "with proxies.model = adversarial: experiment .* has trained"),
        ("aligned_outputs", "with adversarial.align = features: experiment .* has outputs"),
    ],
)
def test_an_experiment_that_is_another_method_has_no_rows(table, variant, message):
    with pytest.raises(UserError, match=message):
        rows_of(table, load_experiment(ROOT / "configs" / "ablations" / f"{variant}.yaml"))


@pytest.mark.parametrize("config", [CONFIG, CAMVID])
def test_every_row_is_planned_and_shares_the_source_model(root, config):
    plan, _ = plan_of(root, config)
    tools = [Path(step.command[1]).name for step in plan.steps.values()]
    # Stage 2: two discriminators, one, either control, output space by either weights.  Stage 3 and 4: all but the
    # control of output space, and three rounds of self-training.
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 6, 8, 8]


def test_a_round_of_self_training_follows_the_model_that_was_trained_last(root):
    plan, rows = plan_of(root)
    steps = plan.steps
    assert not any(name.startswith("class_balanced/") and "adversarial" in name for name in steps)
    assert steps["class_balanced/proxies"].needs == ("source",)
    assert steps["class_balanced/retrain"].needs == ("class_balanced/proxies",)
    assert steps["class_balanced/round 2, proxies"].needs == ("class_balanced/retrain",)
    assert steps["class_balanced/round 3, proxies"].needs == ("class_balanced/round 2, retrain",)
    first, second = (" ".join(steps[f"class_balanced/{name}"].command) for name in ("proxies", "round 2, proxies"))
    assert "--from run/source/checkpoint.npz" in first
    assert "--cache run/class_balanced/cache" in first
    assert "--round 2" in second
    assert "--from" not in second, "it is found in the folder of the round before"
    assert "--cache run/class_balanced/round-2/cache" in second
    learnt = " ".join(steps["class_balanced/retrain"].command)
    assert "--from run/source/checkpoint.npz" in learnt
    scored = rows["CBST-style, round 3, AdaBN, measured here"]
    assert scored.checkpoint == Path("run/class_balanced/round-3/retrain/checkpoint.npz")
    assert scored.scores == Path("run/class_balanced_adabn_score/round-3/scores/retrain.json")
    assert scored.run.experiment.evaluation.adabn_batches == 50
    with_theirs = rows["output-space discriminators, proxies, measured here"]
    assert with_theirs.needs == ("aligned_outputs/retrain",)
    assert steps["aligned_outputs/proxies"].needs == ("aligned_outputs/adversarial",)


def test_rounds_are_estimated_by_the_iterations_and_the_passes_of_one(root, monkeypatch):
    measured = []
    monkeypatch.setattr(Estimate, "_once", lambda self, run, key, measure: measured.append(key) or 2.0)
    plan, _ = plan_of(root, ROOT / "configs" / "gta5_resnet101.yaml")
    seconds = Estimate().seconds(plan.steps["class_balanced/round 2, retrain"])
    assert seconds == 2.0 * 20_000
    assert "retrain" in str(measured)
    assert "20000 iterations" in Estimate().describe([plan])


def test_a_run_of_an_earlier_version_is_used_again(root, scored_run, tiny_world, tmp_path):
    shutil.copytree(scored_run, tmp_path / "run")
    for config in (tmp_path / "run").glob("*/config.yaml"):
        lines = config.read_text().splitlines()
        older = [line for line in lines if not line.strip().startswith(NEW)]
        assert len(older) == len(lines) - len(NEW)
        config.write_text("\n".join(older) + "\n")
    plan, _ = plan_of(root, overrides=[*small_settings(tiny_world, 2), SCORED], folder=tmp_path / "run")
    reuse = reuse_of(plan)
    assert [reuse[stage].kind for stage in STAGE_TOOLS] == [DONE] * 4
    assert {reuse[name].kind for name in reuse if name.startswith("class_balanced/")} == {TO_RUN}
    other, _ = plan_of(
        root, overrides=[*small_settings(tiny_world, 2), SCORED, "proxies.p2_growth=0.1"], folder=tmp_path / "run"
    )
    assert "proxies.p2_growth was None, now 0.1" in reuse_of(other)["proxies"].why


def metrics_of(folder, stage, **values):
    write_json(folder / stage / ("cost.json" if stage == "proxies" else "metrics.json"), values)


def test_what_a_row_cost_is_that_of_all_stages_up_to_its_model(root, tmp_path):
    plan, rows = plan_of(root, folder=tmp_path)
    done = {"iterations": 100, "iterations_in_these_seconds": 100}
    metrics_of(tmp_path, "source", seconds=10.0, peak_memory_gib=1.5, **done)
    home = tmp_path / "class_balanced"
    metrics_of(home, "proxies", seconds=3.0, peak_memory_gib=0.5)
    metrics_of(home, "retrain", seconds=2.0, peak_memory_gib=2.5, iterations=100, iterations_in_these_seconds=25)
    assert cost_of(plan, rows["source only"]) == Cost(seconds=10.0, whole=True, peak_memory_gib=1.5)
    once = cost_of(plan, rows["CBST-style, round 1, measured here"])
    assert once == Cost(seconds=10.0 + 3.0 + 2.0 * 4, whole=True, peak_memory_gib=2.5), "the source model counted once"
    assert cost_of(plan, rows["CBST-style, round 2, measured here"]) == Cost(
        seconds=21.0, whole=False, peak_memory_gib=2.5, peak_of_all=False
    )


@pytest.mark.parametrize(
    ("metrics", "seconds"),
    [
        ({"seconds": 5.0}, 5.0),
        ({"seconds": None}, None),
        ({}, None),
        ({"seconds": 4.0, "iterations": 10, "iterations_in_these_seconds": 2}, 20.0),
        ({"seconds": 0.0, "iterations": 10, "iterations_in_these_seconds": 0}, None),
        ({"seconds": 4.0, "iterations": 10}, None),
    ],
)
def test_a_stage_that_was_stopped_counts_as_long_as_its_last_iterations_took(metrics, seconds):
    assert seconds_of(metrics) == seconds


def table_with(number, config, departures):
    """Return a table whose rows were all run for two seeds, each a little costlier than the one before."""
    experiment, rows = load_experiment(config), []
    for place, row in enumerate([*rows_of(number, experiment), *compared_rows(number)]):
        cost = Cost(seconds=60.0 * (place + 2), whole=place != 1, peak_memory_gib=place + 0.5, peak_of_all=place != 1)
        iou = dict.fromkeys((row.published or {}).get("iou", {"road": 1}), 30.0 + place)
        scores = {"miou": 30.0 + place, "iou": iou}
        results = [{"seed": seed, "run_folder": "run", "scores": scores, "cost": cost} for seed in (0, 1)]
        values = {"row": row.text, "experiment": "mini", "encoder": "small", "published": row.published}
        rows.append(TableRow(**values, results=results, departures_from_the_paper=departures))
    return table_of(number, rows, "command")


def line_of(text, *cells):
    return next(
        line for line in text.splitlines() if re.match(rf"\| *{' *[|] *'.join(map(re.escape, cells))} *\|", line)
    )


@pytest.mark.parametrize("departures", [[], ["classes"]])
def test_table_3_says_what_each_row_cost(departures, tmp_path):
    text = write_table(table_with(3, CONFIG, departures), tmp_path)
    costs = text[text.index("What each row cost") :]
    assert line_of(costs, SOURCE_ONLY, "2.0 min", "0.5 ± 0.0 GiB")
    assert line_of(costs, f"{SOURCE_ONLY}, AdaBN", "at least 3.0 min", "at least 1.5 ± 0.0 GiB")
    assert line_of(costs, "CBST-style, round 3, measured here")
    (row,) = [row for row in json.loads((tmp_path / "table-3.json").read_text())["rows"] if row["row"] == SOURCE_ONLY]
    assert row["results"][0]["cost"] == {
        "seconds": 120.0,
        "whole": True,
        "peak_memory_gib": 0.5,
        "peak_of_all": True,
    }
    assert "120.0,True,0.5,True" in (tmp_path / "table-3.csv").read_text()
    out = write_report(tmp_path / "page.html", "x", [], [tmp_path / "table-3.json"])
    assert "What each row cost" in page_of(out).words


@pytest.mark.parametrize("departures", [[], ["classes"]])
def test_tables_by_class_set_measured_rows_beside_the_papers_own(departures):
    table = table_with(1, CONFIG, departures)
    (grid,) = layout_of(table).grids
    cells = [line.cells[:2] for line in grid.lines]
    assert ("AdaptSegNet-style, small", MEASURED) in cells
    assert (f"{CONTROL}, small", MEASURED) in cells
    assert ("adapted, multi-scale, small", "reproduced") in cells
    assert sum(numbers == "difference" for _, numbers in cells) == (0 if departures else 2), "where the paper has it"
    assert "quoted from ref" in markdown(table)


def test_without_compare_nothing_is_said_of_costs():
    rows = [row.model_copy(update={"results": []}) for row in table_with(3, CONFIG, []).rows]
    assert "cost" not in markdown(table_of(3, rows, "command"))


@pytest.mark.slow
def test_rounds_are_run_by_the_tools_and_fill_their_row(root, tiny_world, tmp_path):
    overrides = small_settings(tiny_world, 3)
    wanted = ["CBST-style, round 2, measured here"]

    def reproduction():
        place = {"folder": tmp_path / "run", "wanted": wanted, "compare": True}
        return Reproduction(root, 3, [CONFIG], overrides, **place)

    lines = []
    reproduction().run(1, lambda row, score: lines.append(row))
    assert lines == wanted
    (row,) = [row for row in reproduction().results().rows if row.row == wanted[0]]
    (cost,) = row.costs
    assert cost.whole
    assert cost.seconds > 0
    assert cost.peak_memory_gib > 0
    record = json.loads((tmp_path / "run" / "class_balanced" / "round-2" / "proxies" / "proxies.json").read_text())
    assert record["p2"] == 0.25
    again = reproduction()
    assert {reuse.kind for reuse in reuse_of(again.plans[0]).values()} == {DONE}
