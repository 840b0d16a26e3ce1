"""The tables, run for real: what is written, and what of a run folder is used again."""

import csv
import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from report_runs import page_of
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.files.records import read_record
from gluon_madapt.formats import mean_and_deviation
from gluon_madapt.reproduction.layout import markdown
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.results import Table, TableRow, table_of
from gluon_madapt.reproduction.reuse import reuse_of
from gluon_madapt.reproduction.rows import ADAPTED, CONFIGS, CONTROL, SOURCE_ONLY, TITLES, rows_of
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.reproduction.writing import write_table
from gluon_madapt.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

FULL_SIZE = {name: ROOT / "configs" / f"{name}.yaml" for names in CONFIGS.values() for name in names}


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
    assert "source.iterations" in written["rows"][0]["departures_from_the_paper"]
    source = written["rows"][0]
    (result,) = source["results"]
    score = json.loads((folder / "run" / "scores" / "source.json").read_text())
    assert source["reproduced"]["miou"]["mean"] == result["scores"]["miou"] == score["miou"]
    assert result["seed"] == 1
    assert result["run_folder"] == "run"
    assert score["trained_by"] == [score["scored_by"]]
    text = (folder / "run" / "tables" / "table-1.md").read_text()
    assert text in done[1].stdout
    for expected in (
        f"{score['miou']:.1f}",
        "published, for the order alone",
        "quoted from ref 48",
        score["scored_by"],
    ):
        assert expected in text
    assert f"{score['miou'] - 38.1:+.1f}" not in text
    assert "difference" not in text
    lines = [line for line in text.splitlines() if line.startswith("| source only, ") and "quoted" not in line]
    assert [line.split("|")[1].strip() for line in lines[:2]] == ["source only, resnet101", "source only, small"]
    records = list(csv.DictReader((folder / "run" / "tables" / "table-1.csv").open()))
    assert float(records[0]["miou reproduced"]) == score["miou"]
    assert float(records[0]["road published"]) == 64.3
    assert float(records[0]["road reproduced"]) == score["iou"]["road"]
    assert (records[0]["road difference"], records[0]["published is"]) == ("", "for the order alone")
    gained = json.loads((folder / "run" / "scores" / "retrain_multi_scale.json").read_text())["miou"] - score["miou"]
    assert float(records[1]["miou over source only"]) == pytest.approx(gained)
    assert written["rows"][1]["gains"]["over source only"]["mean"] == pytest.approx(gained)
    assert (records[-1]["state"], records[-1]["row"]) == ("quoted from ref 48", "CBST")


def test_a_page_shows_the_tables_that_lie_beside_it(reproduced):
    folder, done = reproduced
    assert "to look at: run/tables/report.html" in done[4].stdout
    page = page_of(folder / "run" / "tables" / "report.html")
    score = json.loads((folder / "run" / "scores" / "source.json").read_text())
    for text in (
        TITLES[1],
        TITLES[4],
        f"{score['miou']:.1f} mIoU before: source only",
        "13 of 15 results were not run",
    ):
        assert text in page.words
    assert (folder / "run" / "tables" / "report" / "figure-5.png").is_file()


def test_what_is_done_is_not_done_again(reproduced):
    folder, done = reproduced
    assert done[4].returncode == 0, done[4].stderr
    logs = sorted(path.name for path in (folder / "run" / "logs").iterdir())
    assert [name for name in logs if "source" in name] == ["score-source.log", "source.log"]
    # The second call makes the labels of another p1 as well, in one command with those that are there.
    for shared, commands in (("source", 1), ("adversarial", 1), ("retrain", 1), ("proxies", 2)):
        assert (folder / "run" / "logs" / f"{shared}.log").read_text().count("$ ") == commands
    variant = folder / "run" / "p1_0.5_p2_0.8"
    assert sorted(path.name for path in variant.glob("[!.]*")) == ["proxies", "retrain", "scores"]
    record = json.loads((variant / "proxies" / "proxies.json").read_text())
    assert record["p1"] == 0.5
    assert (folder / "run" / "logs" / "proxies.log").read_text().endswith("run/p1_0.5_p2_0.8/proxies/labels\n")


def test_rows_that_were_not_run_say_so(reproduced):
    folder, done = reproduced
    rows = json.loads((folder / "run" / "tables" / "table-4.json").read_text())["rows"]
    assert [row["row"] for row in rows if row["reproduced"]] == ["p1 0.5, p2 0.8", "p1 0.6, p2 0.8"]
    assert sum("  not run |" in line and "p1 1.0" in line for line in done[4].stdout.splitlines()) == 8
    assert "13 of 15 results were not run yet" in done[4].stdout


@pytest.fixture
def copied(reproduced, tmp_path):
    """A copy of the run folder, to be spoilt."""
    shutil.copytree(reproduced[0] / "run", tmp_path / "run")
    return tmp_path / "run"


def found_in(folder, world, *overrides):
    """Return the states of what Table 1 needs, by step."""
    plan = Plan(ROOT, CONFIG, [*small_settings(world, iterations=2), *overrides], None, folder)
    for row in rows_of(1, plan.run.experiment):
        plan.add(row)
    return reuse_of(plan)


def other_images(tree, out, below):
    """Copy a data set with one image of another size in bytes."""
    shutil.copytree(tree, out)
    one = next((out / below).rglob("*.png"))
    one.write_bytes(one.read_bytes() + b" ")
    return out


def rewrite(path, **meta):
    checkpoint = read_checkpoint(path)
    write_checkpoint(path, Checkpoint(dict(checkpoint.meta, **meta), checkpoint.arrays))


def test_all_is_done(copied, tiny_world):
    assert {state.kind for state in found_in(copied, tiny_world).values()} == {"done"}


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"miou": 3}'])
def test_scores_that_are_not_whole_are_made_again(copied, tiny_world, content):
    path = copied / "scores" / "source.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    found = found_in(copied, tiny_world)
    assert found["score source"].kind == "to run"
    assert found["retrain"].kind == "done"


def test_scores_by_another_protocol_are_made_again(copied, tiny_world):
    assert found_in(copied, tiny_world, "evaluation.short_side.source=64")["score source"].kind == "to run"


def test_scores_on_other_images_are_made_again(copied, tiny_world, tmp_path):
    city = other_images(tiny_world / "cityscapes", tmp_path / "city", "leftImg8bit/val")
    assert found_in(copied, tiny_world, f"data.val.root={city}")["score source"].kind == "to run"


def test_scores_of_another_checkpoint_are_made_again(copied, tiny_world):
    path = copied / "scores" / "source.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), checkpoint_sha256="0" * 64)))
    assert found_in(copied, tiny_world)["score source"].kind == "to run"


def test_stages_made_from_other_images_are_refused(copied, tiny_world, tmp_path):
    gta5 = other_images(tiny_world / "gta5", tmp_path / "gta5", "images")
    state = found_in(copied, tiny_world, f"data.source.root={gta5}")["source"]
    assert state.kind == "refused"
    assert "made from.images was " in state.why


def test_stages_made_from_another_checkpoint_are_refused(copied, tiny_world):
    rewrite(copied / "source" / "checkpoint.npz", seed=5)
    found = found_in(copied, tiny_world)
    assert found["source"].kind == "done"
    assert found["adversarial"].kind == "refused"
    assert "made from.checkpoint was " in found["adversarial"].why
    assert found["retrain"].kind == "to run"


def test_stages_begun_with_other_settings_are_refused(copied, tiny_world):
    state = found_in(copied, tiny_world, "source.learning_rate=0.5")["source"]
    assert "was made otherwise (source.learning_rate was 0.04, now 0.5): move that folder away" in state.why


def test_a_checkpoint_of_unknown_origin_is_refused(copied, tiny_world):
    (copied / "source" / "inputs.json").unlink()
    assert "what it was made from is not known" in found_in(copied, tiny_world)["source"].why


@pytest.mark.parametrize("name", ["source/inputs.json", "source/config.yaml", "proxies/metrics.json"])
@pytest.mark.parametrize("content", ["", "[1", "7"])
def test_damaged_records_are_named(copied, tiny_world, name, content):
    (copied / name).write_text(content)
    found = found_in(copied, tiny_world)
    assert any(name in state.why and "damaged" in state.why for state in found.values())


def test_a_stage_that_was_stopped_is_to_be_finished(copied, tiny_world):
    rewrite(copied / "source" / "checkpoint.npz", iteration=1)
    found = found_in(copied, tiny_world)
    assert (found["source"].kind, found["source"].iterations) == ("to finish", 1)
    assert found["adversarial"].kind == "to run"


def test_a_fresh_start_moves_all_aside_and_can_be_interrupted(copied, tiny_world):
    settings = small_settings(tiny_world, iterations=2)
    reproduction = Reproduction(ROOT, 1, [CONFIG], settings, folder=copied)
    reproduction.start_over()
    (plan,) = reproduction.plans
    assert {state.kind for state in reuse_of(plan).values()} == {"to run"}
    assert not any(row.scores for row in reproduction.results().rows)
    names = {path.name.split(".")[0] for path in copied.glob("*.old")}
    assert names == {"source", "adversarial", "proxies", "cache", "retrain", "scores"}
    assert not reproduction.refused()


def test_rows_that_are_not_wanted_show_no_numbers_of_other_settings(copied, tiny_world):
    settings = [*small_settings(tiny_world, iterations=2), "retrain.learning_rate=0.3"]
    reproduction = Reproduction(ROOT, 1, [CONFIG], settings, folder=copied, wanted=["source only"])
    source, adapted = reproduction.results().rows
    assert source.values("miou")
    assert not adapted.values("miou")
    assert not reproduction.refused()


def test_means_and_deviations(tmp_path):
    found = [mean_and_deviation(values, 2) for values in ([], [36.25], [36.0, 37.0])]
    assert found == ["not run", "36.2 (1 of 2 seeds)", "36.5 ± 0.7"]


def table_with(departures, **mious):
    """Return Table 3 with the mIoU of some rows, by words of their names, None where a seed was not run."""
    rows = []
    for row in rows_of(3, load_experiment(CONFIG)):
        scored = next((mious[key] for key in mious if row.text == NAMES[key]), [None] * 3)
        scores = [miou and {"miou": miou, "iou": {}, "trained_by": ["x"], "scored_by": "x"} for miou in scored]
        results = [{"seed": seed, "run_folder": "run", "scores": one} for seed, one in enumerate(scores)]
        values = {"row": row.text, "experiment": "mini", "encoder": "small", "published": row.published}
        rows.append(TableRow(**values, results=results, departures_from_the_paper=departures))
    return table_of(3, rows, "command")


NAMES = {"source": SOURCE_ONLY, "control": CONTROL, "adapted": ADAPTED}
SCORED = {"source": [30.0, 32.0, None], "control": [33.0, None, 35.0], "adapted": [36.0, 39.0, 37.5]}


def cells_of(text, row):
    line = next(line for line in text.splitlines() if line.startswith(f"| {row} "))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_papers_experiment_is_set_beside_the_papers_numbers(tmp_path):
    text = write_table(table_with([], **SCORED), tmp_path)
    assert cells_of(text, "row") == ["reproduced", "published", "difference"]
    assert cells_of(text, SOURCE_ONLY) == ["31.0 ± 1.4 (2 of 3 seeds)", "38.1", "-7.1"]
    assert cells_of(text, CONTROL) == ["34.0 ± 1.4 (2 of 3 seeds)", "–", "–"]
    assert "32 of 39 results were not run yet" in text
    assert "departs" not in text
    assert "gains" not in (tmp_path / "table-3.json").read_text()
    records = list(csv.DictReader((tmp_path / "table-3.csv").open()))
    assert float(records[0]["miou difference"]) == pytest.approx(30 - 38.1)


def test_another_experiment_shows_what_it_gains_and_no_difference_to_the_paper(tmp_path):
    text = write_table(table_with(["classes"], **SCORED), tmp_path)
    expected = ["mIoU", "over source only", "over the control", "published, for the order alone"]
    assert cells_of(text, "row") == expected
    assert cells_of(text, SOURCE_ONLY) == ["31.0 ± 1.4 (2 of 3 seeds)", "–", "-3.0", "38.1"]
    assert cells_of(text, ADAPTED) == ["37.5 ± 1.5", "+6.5 ± 0.7", "+2.8 ± 0.4", "49.8"], "of the seeds that have both"
    assert cells_of(text, "one discriminator") == ["not run", "–", "–", "41.5"]
    assert "mini departs from the paper's settings (classes): compare the order of the rows" in text
    assert 'the control is the row "control: adversarial weights 0"' in text
    (row,) = [row for row in json.loads((tmp_path / "table-3.json").read_text())["rows"] if row["row"] == ADAPTED]
    assert row["gains"]["over the control"] == {"mean": 2.75, "deviation": pytest.approx(0.354, abs=1e-3), "seeds": 2}
    assert (row["published"]["miou"], row["published_is"]) == (49.8, "for the order alone")
    records = [one for one in csv.DictReader((tmp_path / "table-3.csv").open()) if one["row"] == ADAPTED]
    assert [one["miou over the control"] for one in records] == ["3.0", "", "2.5"]
    assert {one["miou difference"] for one in records} == {""}


def test_a_control_that_was_not_run_has_no_column():
    text = markdown(table_with(["classes"], source=SCORED["source"], adapted=SCORED["adapted"]))
    assert cells_of(text, "row") == ["mIoU", "over source only", "published, for the order alone"]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    table = table_with(["classes"], **SCORED)
    write_table(table, tmp_path)
    assert markdown(read_record(tmp_path / "table-3.json", Table)) == markdown(table)
