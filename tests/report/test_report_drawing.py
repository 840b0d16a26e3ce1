"""The report's curves, bars and painted maps."""

import io

import numpy as np
import pytest
from PIL import Image

from gluon_madapt.labels import ClassSet, class_set
from gluon_madapt.report.charts import ClassPixels, ClassScores, draw_coverage, draw_iou, draw_panel, wrapped
from gluon_madapt.report.curves import panels_of
from gluon_madapt.report.painting import paint_confidence, paint_labels, strip_of

CLASSES = class_set(19)
ROAD, SKY = CLASSES.palette[0], CLASSES.palette[10]


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_losses_are_sorted_into_charts():
    entry = {
        "segmentation": 1.0,
        "adversarial_D1": 0.7,
        "adversarial_D2": 0.8,
        "D1": 1.3,
        "D2": 1.2,
        "learning_rate": 0.1,
    }
    log = [dict(entry, iteration=10, images_per_second=3.0), {"iteration": 10, "val": {"miou": 30.0}}]
    panels = {panel.name: panel for panel in panels_of([log])}
    assert list(panels) == ["loss-segmentation", "adversarial", "discriminators", "learning-rate", "miou"]
    assert list(panels["adversarial"].curves) == list(panels["discriminators"].curves) == ["D1", "D2"]
    assert panels["discriminators"].chance.value == pytest.approx(2 * np.log(2))
    assert "D2 from 1.2 at iteration 10 to 1.2 at iteration 10" in panels["discriminators"].in_words()


def test_accuracies_and_the_share_of_the_adversary_have_charts_of_their_own():
    accuracies = {"accuracy_D1_source": 0.9, "accuracy_D1_target": 0.7}
    losses = {"segmentation": 1.0, "adversarial_D1": 0.7, "D1": 1.3, "adversary_share": 0.1}
    log = [{"iteration": 10, **losses, **accuracies}]
    panels = {panel.name: panel for panel in panels_of([log])}
    assert list(panels) == ["loss-segmentation", "adversarial", "discriminators", "accuracy", "adversary-share"]
    assert list(panels["accuracy"].curves) == ["D1 source", "D1 target"]
    assert panels["accuracy"].chance.value == 0.5
    for panel in panels.values():
        assert len(np.unique(pixels_of(draw_panel(panel)))) > 20


def test_a_later_round_has_no_adversarial_terms_and_its_discriminators_are_some_all_the_same():
    log = [{"iteration": 10, "D1": 1.3, "accuracy_D1_source": 0.9, "accuracy_D1_target": 0.7}]
    assert [panel.name for panel in panels_of([log])] == ["discriminators", "accuracy"]


def test_what_is_not_a_finite_number_is_left_out():
    log = [{"iteration": 1, "loss": float("nan")}, {"iteration": None, "loss": 1.0}, {"iteration": 3, "loss": "x"}]
    log += [{"iteration": 4, "loss": 2.0}, {"iteration": 5, "val": 7}, {"loss": 3.0}, {"iteration": 6, "loss": True}]
    (panel,) = panels_of([log, []])
    (curve,) = panel.curves["loss"]
    assert (curve.iterations.tolist(), curve.values.tolist()) == ([4], [2.0])
    assert panels_of([[], [{}]]) == []


@pytest.mark.parametrize("points", [1, 2, 500])
def test_curves_of_any_length_are_drawn(points):
    log = [{"iteration": i + 1, "D1": 1.0 + i, "adversarial_D1": 1.0} for i in range(points)]
    for panel in panels_of([log, log]):
        assert len(np.unique(pixels_of(draw_panel(panel)))) > 20


def test_lines_are_told_apart_without_colour():
    log = [{"iteration": i, "D1": 1.0, "D2": 0.5, "adversarial_D1": 0, "adversarial_D2": 0} for i in range(1, 200)]
    panel = next(one for one in panels_of([log]) if one.name == "discriminators")
    grey = pixels_of(draw_panel(panel._replace(chance=None))).mean(axis=2)
    dark = grey[:, 150:500] < 200
    lines = [row for row in dark[:-80] if row.mean() > 0.3]
    assert any(row.all() for row in lines)
    assert any(0.5 < row.mean() < 0.95 for row in lines)


def test_bars_are_drawn_for_names_of_any_kind():
    names = ["$x^{", "交通", "a very long name " * 9, "<b>"]
    scores = [ClassScores(name, [10.0, None], [None]) for name in names] + [ClassScores("none", [], [])]
    assert pixels_of(draw_iou(scores)).std() > 5
    assert pixels_of(draw_coverage([ClassPixels(name, 10**i, i) for i, name in enumerate(names)])).std() > 5
    assert pixels_of(draw_coverage([ClassPixels("a", 0, 0)])).std() > 1


def test_names_take_two_lines_at_most():
    assert wrapped("traffic light") == "traffic light"
    assert wrapped("a b " * 30).count("\n") == 1
    assert wrapped("a b " * 30).endswith("…")


def test_maps_have_colours_outlines_and_numbers():
    labels = np.full((64, 128), 10, dtype=np.uint8)
    labels[32:] = 0
    labels[:8] = 255
    painted = paint_labels(labels, CLASSES)
    assert painted.shape == (320, 640, 3)
    assert (painted[5, 5] == 255).all()
    assert (painted[60, 20] == SKY).all()
    assert (painted[300, 20] == ROAD).all()
    edge = painted[159, 20]
    assert edge.max() < 40
    assert (painted[[50, 100]] != edge).any(axis=2).all()
    road = painted[165:]
    assert (road == 255).all(axis=2).sum() > 20, "the number of the road, in white"


def test_what_is_dropped_is_hatched():
    labels, dropped = np.full((64, 128), 255, dtype=np.uint8), np.zeros((64, 128), dtype=bool)
    labels[:, :32] = 0
    dropped[:, 96:] = True
    painted = paint_labels(labels, CLASSES, dropped)
    dark = (painted < 100).all(axis=2)
    assert 0.1 < dark[:, 490:].mean() < 0.4
    assert not dark[:, 170:470].any()


def test_confidence_is_grey_with_a_line_at_t1():
    painted = paint_confidence(np.tile(np.linspace(0, 1, 128, dtype=np.float32), (64, 1)), 0.5)
    grey = (painted == painted[..., :1]).all(axis=2)
    assert painted[0, 0].max() < 5
    assert painted[0, -1].min() > 250
    assert 0 < (~grey[100]).sum() < 8
    assert abs(np.flatnonzero(~grey[100]).mean() - 320) < 5
    assert (paint_confidence(np.zeros((8, 8), np.float32), 0.5) == 0).all()


def test_a_strip_holds_every_picture_and_every_class():
    many = ClassSet(tuple(f"class {i}" for i in range(60)), np.zeros((60, 3), np.uint8), {})
    picture = np.full((32, 64, 3), (255, 0, 0), np.uint8)
    short, tall = (pixels_of(strip_of(["a", "b"], [[picture, None]], one)) for one in (CLASSES, many))
    assert ((short == (255, 0, 0)).all(axis=2)).mean() > 0.2
    assert tall.shape[0] > short.shape[0]
