"""What the page says of an audit: its tables by class, its sentence, and what earlier versions did not ask."""

import json
import shutil

import pytest
from report_runs import page_of

from gluon_madapt.labels import class_set
from gluon_madapt.report.audit import audit_tables
from gluon_madapt.report.page import report_of_folder
from gluon_madapt.report.stored import ProxyRecord

QUESTION = "Does adversarial confidence tell right from wrong?"


def areas(**changes):
    row = {
        "pixels": 2000,
        "right": 1500,
        "areas": {"s": 0.8, "A": 0.61, "D1": 0.6, "D2": 0.55, "s and A": 0.8312},
        "off_by_at_most": 0.00123,
        "weights": {"s": 0.7, "A": 1.5},
    }
    return dict(row, **changes)


NOTHING = areas(pixels=0, right=0, areas=dict.fromkeys(areas()["areas"]), off_by_at_most=None, weights=None)


def record_of(names, in_all, **by_class):
    zeros = dict.fromkeys(names, 0)
    groups = {"proxies": (60, 0.9), "dropped_by_discriminators": (30, 0.5), "dropped_by_classifier": (10, 0.3)}
    audit = {
        name: {"pixels": pixels, "accuracy": share, "by_class": {}}
        for name, (pixels, share) in {**groups, "dropped_by_both": (0, None)}.items()
    }
    return ProxyRecord(
        **{"images": 1, "pixels": 100, "p1": 0.6, "p2": 0.8, "t1": 0.5, "t2": zeros, "share_labelled": 0.6},
        **{"pixels_focused": 0, "pixels_focused_by_class": zeros, "pixels_kept": 0, "pixels_kept_by_class": zeros},
        ties={"t1": 0, "t2": zeros},
        audit=audit,
        roc={"version": 1, "in_all": in_all, "by_class": {name: by_class.get(name, NOTHING) for name in names}},
    )


def test_criteria_are_shown_with_what_they_keep_and_drop():
    found = audit_tables(record_of(["a"], areas()), ["a"])
    assert [tuple(row)[1:] for row in found.criteria] == [
        ("70", "81.4", "30", "50.0"),
        ("90", "76.7", "10", "30.0"),
        ("60", "90.0", "40", "45.0"),
    ]


@pytest.mark.parametrize("number", [16, 19])
def test_every_class_has_a_row_and_what_is_not_known_is_a_dash(number):
    names = class_set(number).names
    turned = areas(weights={"s": 1.0, "A": -2.0})
    found = audit_tables(record_of(names, areas(), road=areas(), car=turned), names)
    rows = {row.name: row for row in found.areas}
    assert list(rows) == [*names, "in all"]
    assert found.scores == ["s", "A", "D1", "D2", "s and A"]
    assert rows["road"][2:] == ("2,000", "75.0", ["0.800", "0.610", "0.600", "0.550", "0.831"], "+0.031", False)
    assert rows["car"].turned
    assert rows["sky"][2:] == ("0", "–", ["–"] * 5, "–", False)
    assert [row.number for row in found.areas] == [*range(number), None]


SENTENCES = {
    "adds": (areas(), ["larger s with a probability of 0.800", "larger A with one of 0.610", "A adds +0.031 to s."]),
    "turned": (areas(weights={"s": 1, "A": -1}), ["A adds +0.031 to s, but the wrong way round"]),
    "nothing": (areas(areas=dict(areas()["areas"], **{"s and A": 0.7998})), ["come to 0.800: A adds nothing to s."]),
    "no A": (areas(areas={"s": 0.8}, weights=None), ["0.800 (0.5 is chance", "Without discriminators there is no A."]),
    "nothing to tell": (NOTHING, ["there is nothing to tell apart"]),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_sentence_says_what_confidence_adds(case):
    in_all, words = SENTENCES[case]
    found = audit_tables(record_of(["a"], in_all), ["a"]).sentence
    assert all(word in found for word in words)
    assert "None" not in found


def test_an_audited_run_shows_its_areas(audited, tmp_path):
    page = page_of(report_of_folder(audited, tmp_path / "page.html"))
    row = json.loads((audited / "proxies" / "proxies.json").read_text())["roc"]["in_all"]
    assert QUESTION in page.words
    assert " ".join(f"{row['areas'][name]:.3f}" for name in ("s", "A", "D1", "D2", "s and A")) in page.words
    assert "p1 alone: A > t1" in page.words
    assert f"at most {row['off_by_at_most']:.4f} off" in page.words


@pytest.mark.slow
def test_an_audit_of_an_earlier_version_is_shown_without_them(audited, tmp_path):
    shutil.copytree(audited, tmp_path / "run")
    path = tmp_path / "run" / "proxies" / "proxies.json"
    record = json.loads(path.read_text())
    del record["roc"]
    path.write_text(json.dumps(record))
    page = page_of(report_of_folder(tmp_path / "run"))
    assert "p1 alone: A > t1" in page.words
    assert "This audit is of an earlier version" in page.words
    assert "Area under the ROC curve" not in page.words
    assert "could not be read" not in page.words


@pytest.mark.slow
def test_without_an_audit_nothing_of_it_is_shown(straight, tmp_path):
    page = page_of(report_of_folder(straight, tmp_path / "page.html"))
    assert QUESTION not in page.words
    assert "p1 alone" not in page.words


def test_damaged_areas_cost_a_line(audited, tmp_path):
    shutil.copytree(audited, tmp_path / "run")
    path = tmp_path / "run" / "proxies" / "proxies.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), roc={"in_all": 3})))
    page = page_of(report_of_folder(tmp_path / "run"))
    assert f"{path}: does not hold what it should (roc." in page.words
