"""A folder of predictions that has some already: they are kept, gone on with, or left alone."""

import pytest
from broken_images import encoded, picture
from prediction_runs import made, predict, put, read, tree

from gluon_madapt.errors import UserError
from gluon_madapt.prediction import Predictor


def test_what_is_done_is_not_done_again_and_what_is_missing_is(model, images, tmp_path):
    out = tmp_path / "out"
    assert predict(model, out, images)[:2] == (3, 0)
    before = tree(out / "labels")
    assert predict(model, out, images)[:2] == (0, 3)
    (out / "overlays" / "a.png").unlink()
    assert predict(model, out, images)[:2] == (1, 2)
    assert predict(model, out, images, confidence=True)[:2] == (3, 0)
    assert predict(model, out, images, top_k=2)[:2] == (3, 0)
    assert tree(out / "labels") == before


def test_labels_that_were_altered_by_hand_are_left_and_named(model, images, tmp_path, caplog):
    out = tmp_path / "out"
    predict(model, out, images)
    assert predict(model, out, images)[:2] == (0, 3)
    assert "altered" not in caplog.text
    first = min((out / "labels").rglob("*.png"))
    first.write_bytes(max((out / "labels").rglob("*.png")).read_bytes())
    by_hand = first.read_bytes()
    assert predict(model, out, images)[:2] == (0, 3)
    assert f"{first}: was altered since it was predicted, and is left as it is" in caplog.text
    done = predict(model, out, images, confidence=True)
    assert (done.predicted, len(done.broken)) == (2, 1)
    assert f"{first}: was altered since it was predicted, and would be written over" in caplog.text
    assert first.read_bytes() == by_hand


def test_an_interruption_leaves_whole_files_and_the_rest_follows(model, images, tmp_path):
    calls = []

    def interrupted(image, top_k):
        calls.append(image)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return model(image, top_k)

    for name in ("classes", "origin", "settings", "precision"):
        setattr(interrupted, name, getattr(model, name))
    with pytest.raises(KeyboardInterrupt):
        predict(interrupted, tmp_path / "out", images)
    assert not list((tmp_path / "out").rglob("*.partial"))
    for path in (tmp_path / "out").rglob("*.png"):
        read(path)
    put(tmp_path / "out" / "labels" / "below" / "c.png.partial", b"of a process that was killed")
    counts = predict(model, tmp_path / "out", images)
    assert counts.predicted + counts.before == 3
    assert counts.before >= 1
    predict(model, tmp_path / "straight", images)
    assert tree(tmp_path / "out") == {**tree(tmp_path / "straight"), "log.jsonl": tree(tmp_path / "out")["log.jsonl"]}


def test_predictions_of_another_model_setting_or_image_are_not_touched(model, four_stages, images, tmp_path, caplog):
    out = tmp_path / "out"
    predict(model, out, images)
    before = tree(out)
    with pytest.raises(UserError, match=r"by another model\): give --fresh"):
        predict(Predictor.load(four_stages / "source", short_side="own"), out, images)
    with pytest.raises(UserError, match="alpha was 0.5, now 0.1"):
        predict(model, out, images, alpha=0.1)
    put(tmp_path / "elsewhere" / "a.png", encoded(picture(seed=9)))
    counts = predict(model, out, tmp_path / "elsewhere")
    assert (counts.predicted, len(counts.broken)) == (0, 1)
    assert "holds predictions of another file of that name" in caplog.text
    assert tree(out) == before
    predict(model, out, tmp_path / "elsewhere", fresh=True)
    (aside,) = tmp_path.glob("out.*.old")
    assert tree(aside) == before
    assert {name for name in tree(out) if name.startswith("labels")} == {"labels/a.png"}


def test_a_folder_of_something_else_is_not_touched(model, images, tmp_path):
    put(tmp_path / "home" / "thesis.tex", b"years")
    for fresh in (False, True):
        with pytest.raises(UserError, match="is no folder of predictions, nor empty"):
            predict(model, tmp_path / "home", images, fresh=fresh)
    with pytest.raises(UserError, match="cannot be written"):
        predict(model, tmp_path / "home" / "thesis.tex" / "out", images)
    assert made(tmp_path / "home") == {"thesis.tex"}
