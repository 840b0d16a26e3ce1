"""A mean over fewer classes than there are says so, in the same line, wherever it is printed or written."""

import csv
import json
import re

import numpy as np
import pytest
from conftest import ROOT
from small_experiments import CONFIG

from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation import ConfusionMatrix, summary
from gluon_madapt.evaluation.tables import score_table
from gluon_madapt.formats import over_fewer
from gluon_madapt.labels import class_set
from gluon_madapt.report.curves import panels_of
from gluon_madapt.reproduction.layout import layout_of
from gluon_madapt.reproduction.results import Table, TableRow, table_of
from gluon_madapt.reproduction.rows import rows_of
from gluon_madapt.reproduction.writing import write_table
from gluon_madapt.training.logger import scalars
from gluon_madapt.training.meters import Meters

NAMES = class_set(16).names


def iou_of(present, names=NAMES):
    return {name: 50.0 if name in present else None for name in names}


@pytest.mark.parametrize(
    ("present", "key", "expected"),
    [
        ([NAMES], "miou", ""),
        ([NAMES], "miou13", ""),
        ([], "miou", ""),
        ([NAMES[:1]], "miou", " over 1 of 16 classes"),
        ([()], "miou", " over 0 of 16 classes"),
        ([NAMES[1:], NAMES], "miou", " over 15 to 16 of 16 classes"),
        ([NAMES[1:], NAMES[1:]], "miou", " over 15 of 16 classes"),
        ([NAMES[2:], NAMES[1:], NAMES], "miou", " over 14 to 16 of 16 classes"),
        ([NAMES[:-1]], "miou13", " over 12 of 13 classes"),
        ([tuple(name for name in NAMES if name not in ("wall", "fence"))], "miou13", ""),
    ],
)
def test_over_how_many_classes_a_mean_is(present, key, expected):
    assert over_fewer([iou_of(one) for one in present], key) == expected


def scores_of(present, classes=16):
    matrix = ConfusionMatrix(classes)
    matrix.counts[present, present] = 1
    return summary(matrix, class_set(classes))


@pytest.mark.parametrize("classes", [16, 19])
def test_scores_and_their_table_say_so(classes):
    scores = scores_of([0, 1], classes)
    assert scores["miou"] == 100
    assert scores["miou_is"] == f"over 2 of {classes} classes"
    assert scores.get("miou13_is") == ("over 2 of 13 classes" if classes == 16 else None)
    lines = score_table(scores).splitlines()
    (mean,) = [line for line in lines if line.startswith("| mIoU ")]
    assert re.search(rf"\| +100\.0 \| +over 2 of {classes} classes \|", mean)
    assert len({line.count("|") for line in lines}) == 1
    if classes == 16:
        assert "| over 2 of 13 classes |" in lines[-1]


@pytest.mark.parametrize("classes", [16, 19])
def test_a_mean_over_all_classes_is_as_it_was(classes):
    scores = scores_of(range(classes), classes)
    assert set(scores) == {"miou", "iou", *(["miou13"] if classes == 16 else [])}
    lines = score_table(scores).splitlines()
    assert all(line.count("|") == 3 for line in lines)
    assert "over" not in score_table(scores)
    assert scalars({"iteration": 1, "val": scores}).keys() == {
        *(f"val/{key}" for key in scores if key != "iou"),
        *(f"IoU/{name}" for name in scores["iou"]),
    }


def test_thirteen_classes_may_all_be_there_where_sixteen_are_not():
    scores = scores_of([i for i in range(16) if NAMES[i] not in ("wall", "fence", "pole")])
    assert scores["miou_is"] == "over 13 of 16 classes"
    assert "miou13_is" not in scores


def test_the_line_of_a_training_and_its_event_file_say_so():
    record = Meters("source", 1, lambda: "")
    record._recent.append({"segmentation": 1.0})
    record.seconds = 1.0
    assert record.facts(1, scores_of([0]))[-1] == "last mIoU 100.0 over 1 of 16 classes"
    assert record.facts(1, scores_of(range(16)))[-1] == "last mIoU 100.0"
    found = scalars({"iteration": 1, "val": scores_of([0])})
    assert found == {"val/miou": 100, "val/miou13": 100, "val/classes": 1, "IoU/road": 100}


def table_with(number, config, present):
    row = rows_of(number, load_experiment(config))[0]
    scores = [dict(scores_of(one), trained_by=["x"], scored_by="x") for one in present]
    results = [{"seed": seed, "run_folder": "run", "scores": one} for seed, one in enumerate(scores)]
    values = {"row": row.text, "experiment": "mini", "encoder": "small", "published": row.published, "results": results}
    return table_of(number, [TableRow(**values)], "command")


@pytest.mark.parametrize(("table", "config"), [(2, ROOT / "configs" / "mini" / "synthia.yaml"), (3, CONFIG)])
def test_reproduced_tables_and_their_page_say_so(table, config, tmp_path):
    fewer = [range(15), range(14)]
    text = write_table(table_with(table, config, fewer), tmp_path)
    (line,) = [one for one in text.splitlines() if "100.0 ± 0.0" in one]
    assert "| 100.0 ± 0.0 over 14 to 15 of 16 classes |" in line
    written = json.loads((tmp_path / f"table-{table}.json").read_text())
    assert written["rows"][0]["reproduced"]["miou"]["mean_is"] == "over 14 to 15 of 16 classes"
    records = list(csv.DictReader((tmp_path / f"table-{table}.csv").open()))
    assert [one["miou is"] for one in records[:2]] == ["over 15 of 16 classes", "over 14 of 16 classes"]
    cells = [cell for grid in layout_of(Table(**written)).grids for line in grid.lines for cell in line.cells]
    assert "100.0 ± 0.0 over 14 to 15 of 16 classes" in cells
    if table == 2:
        assert "100.0 ± 0.0 over 11 to 12 of 13 classes |" in line
        assert "100.0 ± 0.0 over 11 to 12 of 13 classes" in cells
    whole = write_table(table_with(table, config, [range(16)]), tmp_path)
    assert " 100.0 |" in whole
    assert " over " not in whole
    assert "is" not in (tmp_path / f"table-{table}.csv").read_text().splitlines()[0].split(",")
    assert "mean_is" not in (tmp_path / f"table-{table}.json").read_text()


@pytest.mark.parametrize(
    ("scores", "title"),
    [
        ([scores_of(range(16))], "mIoU in percent, on the labelled val split"),
        ([scores_of([0]), scores_of([0, 1])], "mIoU in percent over 1 to 2 of 16 classes"),
        ([{"miou": 30.0}], "mIoU in percent, on the labelled val split"),
    ],
)
def test_the_curve_says_so(scores, title):
    log = [{"iteration": number, "val": one} for number, one in enumerate(scores, start=1)]
    (panel,) = panels_of([log])
    assert panel.title == title
    assert np.isfinite(panel.curves["mIoU"][0].values).all()
