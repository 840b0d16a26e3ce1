"""The report's page: what it shows of runs that are whole, begun, damaged or strange."""

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from report_runs import HOSTILE, NAME, page_of
from small_experiments import CONFIG, small_experiment

from gluon_madapt.data.image_files import read_image
from gluon_madapt.errors import UserError
from gluon_madapt.report.facts import facts_of, stored_run
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.report.scored import scores_in
from gluon_madapt.stages import Run, train_source

TABLES = ROOT / "docs" / "results" / "mini-tables" / "world-1"


@pytest.fixture(scope="module")
def reported(scored_run, tmp_path_factory):
    """A copy of the finished run with a table in it, and its page."""
    folder = tmp_path_factory.mktemp("reported") / "run"
    shutil.copytree(scored_run, folder)
    (folder / "tables").mkdir()
    for number in (2, 3):
        table = json.loads((TABLES / f"table-{number}.json").read_text())
        table["rows"] = [row for row in table["rows"] if "AdaBN" not in row["row"]]
        for row in table["rows"]:
            row.pop("gains")  # as older versions wrote it
        (folder / "tables" / f"table-{number}.json").write_text(json.dumps(table))
    return folder, page_of(report_of_folder(folder))


@pytest.fixture
def copied(scored_run, tmp_path):
    shutil.copytree(scored_run, tmp_path / "run")
    return tmp_path / "run"


def call(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "report.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_finished_run_is_shown_whole(reported):
    folder, page = reported
    before, after = (
        json.loads((folder / stage / "metrics.json").read_text())["val"] for stage in ("source", "retrain")
    )
    for number in (before["miou"], after["miou"], before["iou"]["road"], after["iou"]["car"]):
        assert f"{number:.1f}" in page.words
    assert f"{after['miou'] - before['miou']:+.1f} points gained" in page.words
    record = json.loads((folder / "proxies" / "proxies.json").read_text())
    assert f"{100 * record['share_labelled']:.1f} % of all target pixels got a proxy label" in page.words
    for name, kept in record["pixels_kept_by_class"].items():
        assert f"{name} {record['pixels_focused_by_class'][name]:,} {kept:,}" in page.words or not kept
    for stage in ("source", "adversarial", "retrain"):
        assert f"Stage {stage}" in page.words
    assert "What is missing" not in page.words
    assert "could not be read" not in page.words
    assert "source.learning_rate 0.04" in page.words


def test_a_mean_over_fewer_classes_says_so_in_the_log_and_wherever_the_page_shows_it(reported):
    folder, page = reported
    scores = json.loads((folder / "retrain" / "metrics.json").read_text())["val"]
    logged = [json.loads(line) for line in (folder / "retrain" / "log.jsonl").read_text().splitlines()]
    assert [one["val"] for one in logged if "val" in one][-1] == scores
    over = f"over {sum(value is not None for value in scores['iou'].values())} of 19 classes"
    assert scores["miou_is"] == over
    shown = f"{scores['miou']:.1f} {over}"
    assert page.words.count(shown) == 2, "in the table by class, and in that of all scores"
    assert f"{scores['miou']:.1f} mIoU after: adapted, {over}" in page.words
    assert "points gained, over" in page.words


def test_every_picture_is_a_file_too(reported):
    folder, page = reported
    names = {path.stem for path in (folder / "report").iterdir()}
    figures = {f"figure-5-{n}-{panel}" for n in (1, 2) for panel in ("target-image", "before", "after", "ground-truth")}
    figures |= {f"figure-6-{n}-{panel}" for n in (1, 4) for panel in ("adversarial-confidence", "proxies")}
    curves = {"source-loss-segmentation", "adversarial-adversarial", "adversarial-discriminators", "retrain-miou"}
    assert figures | curves | {"figure-5", "figure-6", "iou", "proxies", "thresholds"} <= names
    assert len(page.all("img")) == len(names) - len({"figure-5", "figure-6"})
    assert read_image(folder / "report" / "figure-6.png").std() > 20


def test_tables_of_another_experiment_show_their_gains_and_the_paper_for_the_order(reported):
    folder, page = reported
    assert "Table 2: SYNTHIA to Cityscapes" in page.words
    table = json.loads((folder / "tables" / "table-3.json").read_text())
    beyond = page.words.index("Beyond the paper")
    before = {result["seed"]: result["scores"]["miou"] for result in table["rows"][0]["results"]}
    for row in table["rows"]:
        mean, deviation = (row["reproduced"]["miou"][key] for key in ("mean", "deviation"))
        text = f"{row['row']} {mean:.1f} ± {deviation:.1f}"
        gains = [result["scores"]["miou"] - before[result["seed"]] for result in row["results"]]
        if any(gains):
            text += f" {statistics.mean(gains):+.1f} ± {statistics.stdev(gains):.1f}"
        assert (page.words.index(text) > beyond) == (row["published"] is None)
        if row["published"]:
            assert f"{mean - row['published']['miou']:+.1f}" not in page.words[page.words.index(text) :][:90]
    assert "published, for the order alone" in page.words


@pytest.fixture(scope="module")
def hostile_page(hostile_run, tmp_path_factory):
    return page_of(report_of_folder(hostile_run, tmp_path_factory.mktemp("page") / "page.html"))


def test_names_from_data_are_text(hostile_run, hostile_page):
    for text in (*HOSTILE, NAME, str(hostile_run), "<b> & pictures"):
        assert text in hostile_page.words


def test_without_labels_it_says_what_cannot_be_known(hostile_page):
    assert "there is no IoU, and nobody can tell from here whether the adapted model is better" in hostile_page.words
    assert "% of the pixels in the images shown are the same before and after" in hostile_page.words
    assert "IoU by class" not in hostile_page.words
    assert "as before on" in hostile_page.words
    assert "ground truth" not in hostile_page.words


def test_what_is_missing_is_named_with_its_command(copied):
    for stage in ("adversarial", "proxies", "retrain", "cache"):
        shutil.rmtree(copied / stage)
    page = page_of(report_of_folder(copied))
    config = copied / "source" / "config.yaml"
    for stage, tool in (("2 adversarial", "train_adv"), ("3 proxies", "make_proxy"), ("4 retrain", "train_proxy")):
        command = f"python tools/{tool}.py --config {config} --run-dir {copied}"
        assert f"Stage {stage}: not begun. {command}" in page.words
    assert "Stage 1 source: " not in page.words
    assert "before: source only" in page.words
    assert "Stage source" in page.words


def test_a_stage_that_was_stopped_is_not_taken_for_done(tiny_world, tmp_path, monkeypatch):
    run = Run(small_experiment(tiny_world, iterations=5), tmp_path / "run", config=CONFIG)
    monkeypatch.setattr("gluon_madapt.training.distributed.Distributed.stopping", property(lambda distributed: True))
    with pytest.raises(SystemExit):
        train_source(run)
    page = page_of(report_of_folder(run.folder))
    assert "Stage 1 source: after iteration 1 of 5. python tools/train_source.py" in page.words
    assert "Stage source" in page.words
    assert "before: source only" not in page.words


DAMAGED = {
    "source/config.yaml": "[",
    "source/metrics.json": '{"val": 3}',
    "adversarial/metrics.json": "",
    "adversarial/inputs.json": "[]",
    "proxies/proxies.json": '{"pixels": "many"}',
    "scores/source.json": '{"miou": NaN}',
    "tables/table-1.json": '{"rows": 1}',
}


def test_damage_costs_a_line_and_no_more(copied):
    for name, content in DAMAGED.items():
        (copied / name).parent.mkdir(exist_ok=True)
        (copied / name).write_text(content)
    checkpoint = copied / "retrain" / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-7])
    with (copied / "source" / "log.jsonl").open("a") as log:
        log.write('{"iteration": "x", "segmentation": NaN}\n{"iteration": 7}\n[1]\n{"iterat')
    page = page_of(report_of_folder(copied))
    for name in (*DAMAGED, "retrain/checkpoint.npz"):
        assert str(copied / name) in page.words
    assert "Stage source" in page.words
    assert "Stage retrain" in page.words


@pytest.mark.slow
def test_what_a_training_warns_of_in_the_end_stands_above_the_pictures(copied):
    assert "What the trainings warn of" not in page_of(report_of_folder(copied)).words
    path = copied / "adversarial" / "metrics.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), warnings=["D1 has won: <b>F is not aligned</b>"])))
    page = page_of(report_of_folder(copied))
    assert "What the trainings warn of Stage 2 adversarial, seed 1: D1 has won: <b>F is not aligned</b>." in page.words


@pytest.mark.parametrize("name", ["source", "adversarial", "proxies", "retrain"])
def test_a_stage_folder_that_is_empty_is_a_stage_that_is_missing(copied, name):
    shutil.rmtree(copied / name)
    (copied / name).mkdir()
    facts = facts_of(stored_run(copied))
    assert facts.stages[name].begun is facts.stages[name].finished is False
    assert facts.problems == []


def test_scores_of_another_checkpoint_are_not_shown(copied):
    metrics = json.loads((copied / "source" / "metrics.json").read_text())
    protocol = {"stage": "source", "scales": [1.0], "mirror": False}
    stale = dict(metrics["val"], miou=77.7, images=2, protocol=protocol, checkpoint_sha256="0" * 64)
    (copied / "scores").mkdir()
    (copied / "scores" / "source.json").write_text(json.dumps(stale))
    facts = facts_of(stored_run(copied))
    found = {one.stage: one.scores.miou for one in scores_in(facts)}
    assert found["source"] == metrics["val"]["miou"]
    (problem,) = facts.problems
    assert "scores/source.json: is of another checkpoint, protocol, seed or other images" in problem


def test_an_ablation_takes_what_it_shares_from_the_folder_above(copied):
    ablation = copied / "p1_0.5_p2_0.4"
    ablation.mkdir()
    for stage in ("proxies", "retrain"):
        shutil.copytree(copied / stage, ablation / stage)
    facts = facts_of(stored_run(ablation))
    assert facts.stages["source"].folder == copied / "source"
    assert facts.stages["retrain"].folder == ablation / "retrain"
    assert all(one.finished for one in facts.stages.values())
    settings = (copied / "source" / "config.yaml").read_text()
    (copied / "source" / "config.yaml").write_text(settings.replace("learning_rate: 0.04", "learning_rate: 0.05"))
    assert not facts_of(stored_run(ablation)).stages["source"].begun


def test_an_ablation_takes_what_it_shares_from_the_ablation_that_it_is_based_on(copied):
    control, scored = (copied / name for name in ("no_adversary", "no_adversary_adabn_both"))
    shutil.copytree(copied / "adversarial", control / "adversarial")
    (scored / "retrain").mkdir(parents=True)
    for stage in (control / "adversarial", scored / "retrain"):
        settings = (copied / "retrain" / "config.yaml").read_text()
        (stage / "config.yaml").write_text(settings.replace("lambda_1: 0.003", "lambda_1: 0.0"))
        shutil.copy(copied / stage.name / "inputs.json", stage)
    facts = facts_of(stored_run(scored))
    assert facts.run.experiment.adversarial.lambda_1 == 0
    assert facts.stages["source"].folder == copied / "source"
    assert facts.stages["adversarial"].folder == control / "adversarial"
    shutil.rmtree(copied / "source")
    shutil.rmtree(copied / "adversarial")
    shutil.rmtree(copied / "proxies")
    shutil.rmtree(copied / "retrain")
    alone = facts_of(stored_run(scored)).stages["adversarial"]
    assert alone.folder == scored / "adversarial", "what lies beside is another run, not of this experiment"


def test_seeds_and_further_rounds_are_found(copied, tmp_path):
    above = tmp_path / "above"
    above.mkdir()
    shutil.copytree(copied, above / "seed-10")
    copied.rename(above / "seed-9")
    shutil.copytree(above / "seed-9" / "retrain", above / "seed-9" / "round-2" / "retrain")
    page = page_of(report_of_folder(above))
    assert page.words.index("seed-9") < page.words.index("seed-10")
    assert "Numbers are means and sample standard deviations over the seeds" in page.words
    assert "mini-gta5, beyond the paper: round 2" in page.words
    assert (above / "report" / "mini-gta5-beyond-the-paper-round-2-retrain-miou.png").is_file()


def test_images_are_chosen_by_name_or_number(copied, tmp_path):
    target = sorted((copied / "proxies" / "labels").rglob("*.png"))[2].relative_to(copied / "proxies" / "labels")
    page = page_of(report_of_folder(copied, tmp_path / "page.html", [str(target), "1"]))
    names = sorted(path.name for path in (tmp_path / "page").glob("figure-*-*-target-image.png"))
    assert names == [f"figure-{one}-target-image.png" for one in ("5-1", "6-1", "6-2")]
    assert str(target) in page.words
    with pytest.raises(UserError, match=r"--images 99: no such image: expected 0 to 3, or a name such as "):
        report_of_folder(copied, tmp_path / "page.html", ["99"])


@pytest.mark.parametrize(
    ("folder", "out", "expected"),
    [
        ("nowhere", None, "nowhere: no such folder"),
        (".", None, "holds no stage of a run: did you mean .*run"),
        ("run", "/proc/page.html", "/proc/page/.*: cannot be written"),
    ],
)
def test_what_the_user_can_mend_is_said(copied, folder, out, expected):
    with pytest.raises(UserError, match=expected):
        report_of_folder(copied.parent / folder, out and Path(out))


def test_flags_that_make_no_sense_are_one_line():
    done = call("--run-dir", "run", "--out", "page.txt")
    assert done.returncode == 2
    assert done.stderr == "error: --out page.txt: expected a name that ends in .html\n"


def test_the_tool_prints_where_the_page_is(copied, tmp_path):
    done = call("--run-dir", copied, "--out", tmp_path / "ä page.html", "--images", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'ä page.html'}\n"
    page_of(tmp_path / "ä page.html")
