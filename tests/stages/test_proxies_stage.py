"""Stage 3 from stored maps: what it makes, what it shares, and what it reports."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from brute_force import whole_images
from proxy_runs import IMAGES, cache_of, command, made, record
from small_experiments import small_experiment

from gluon_madapt.data import Dataset
from gluon_madapt.data.image_files import read_image, write_png
from gluon_madapt.data.label_files import read_label_ids, read_train_ids
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.proxies import Shares, compute_thresholds, label_image
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.report.threshold_figure import BINS, Distributions, draw_thresholds
from gluon_madapt.stages import Run, make_proxies
from gluon_madapt.stages import proxies as stage


def test_labels_and_record_are_those_of_the_definition(straight):
    cache, found = cache_of(straight), record(straight)
    whole = whole_images(cache.read(index) for index in range(len(cache)))
    thresholds = compute_thresholds(whole, 0.6, 0.8)
    assert found["t1"] == float(thresholds.t1)
    assert list(found["t2"].values()) == [float(value) for value in thresholds.t2]
    assert found["pixels"] == thresholds.pixels
    assert list(found["pixels_focused_by_class"].values()) == thresholds.focused.tolist()
    assert found["ties"]["t1"] == thresholds.ties_t1 / thresholds.pixels
    paths = sorted((straight / "proxies" / "labels").rglob("*.png"))
    assert len(paths) == IMAGES
    labels = [read_train_ids(path, 19) for path in paths]
    for one, (probabilities, confidence) in zip(labels, whole):
        np.testing.assert_array_equal(one, label_image(probabilities, confidence, thresholds))
    counts = np.sum([np.bincount(one.ravel(), minlength=256) for one in labels], axis=0)
    assert list(found["pixels_kept_by_class"].values()) == counts[:19].tolist()
    assert found["pixels_kept"] == counts[:19].sum()
    assert found["share_labelled"] == counts[:19].sum() / counts.sum()
    assert "audit" not in found


def test_settings_that_share_the_passes_are_those_made_alone(run, copied, straight, tiny_world, tmp_path):
    others = [Shares(0.5, 0.4), Shares(1.0, 0.3), Shares(0.5, 0.9)]
    reads = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            MapCache, "read", lambda *given, read=MapCache.read, **named: reads.append(1) or read(*given, **named)
        )
        make_proxies(run, also=[*others, others[0]])
    assert len(reads) == 5 * IMAGES, "four passes for the thresholds and one for the labels, whatever the settings"
    assert made(copied) == made(straight)
    for shares in others:
        name = f"p1_{shares.p1}_p2_{shares.p2}"
        experiment = small_experiment(tiny_world, f"proxies.p1={shares.p1}", f"proxies.p2={shares.p2}")
        start = copied / "adversarial" / "checkpoint.npz"
        make_proxies(Run(experiment, tmp_path / name, start), cache=copied / "cache")
        assert made(tmp_path / name) == made(copied / name)


def test_nothing_is_made_again_unless_labels_are_gone(run, copied, straight, monkeypatch):
    make_proxies(run)
    first = min((copied / "proxies" / "labels").rglob("*.png"))
    with monkeypatch.context() as patch:
        patch.setattr(stage, "find_thresholds", None)
        make_proxies(run)
    first.unlink()
    make_proxies(run)
    assert made(copied) == made(straight)


def test_labels_are_read_for_an_audit_alone(run, copied, straight, monkeypatch):
    def refuse(*given):
        raise AssertionError("a label of the target was read")

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "label", refuse)
        make_proxies(run)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "find_thresholds", None)
        make_proxies(run, audit=True)
    assert made(copied)["log.jsonl"] == made(straight)["log.jsonl"]
    found = record(copied)
    audit = found.pop("audit")
    assert found.pop("roc")["in_all"]["pixels"] == sum(group["pixels"] for group in audit.values())
    assert found.pop("audited_by") == run.dataset("target", labelled=True).fingerprint
    assert found == record(straight), "the truth changes nothing but what is reported"
    labels = run.dataset("target", labelled=True)
    paths = sorted((copied / "proxies" / "labels").rglob("*.png"))
    right = total = 0
    for index, path in enumerate(paths):
        truth, proxies = labels.label(index), read_train_ids(path, 19)
        known = (truth != 255) & (proxies != 255)
        right, total = right + (truth == proxies)[known].sum(), total + known.sum()
    assert audit["proxies"]["pixels"] == total
    assert audit["proxies"]["accuracy"] == right / total
    everything = sum((labels.label(index) != 255).sum() for index in range(len(labels)))
    assert sum(group["pixels"] for group in audit.values()) == everything


def test_an_audit_of_labels_from_other_maps_is_refused(run, copied):
    make_proxies(run)
    cache = cache_of(copied)
    maps = cache.read(1)
    cache.write(1, maps._replace(logits=-maps.logits), Shard())
    with pytest.raises(FailureError, match=r"\.png: was made from other maps than those in .*: make the proxies anew"):
        make_proxies(run, audit=True)


def test_an_audit_without_labels_says_what_is_missing(run, tiny_world, copied, tmp_path):
    shutil.copytree(tiny_world / "cityscapes" / "leftImg8bit", tmp_path / "cityscapes" / "leftImg8bit")
    experiment = small_experiment(tiny_world, f"data.target.root={tmp_path / 'cityscapes'}")
    with pytest.raises(UserError, match=r"has no label, expected .*gtFine"):
        make_proxies(Run(experiment, copied), audit=True)
    make_proxies(Run(experiment, copied))


def test_a_class_lost_to_saturation_is_reported(run, copied, straight, caplog):
    shutil.copytree(straight / "cache", copied / "cache")
    cache = cache_of(copied)
    for index in range(len(cache)):
        maps = cache.read(index)
        logits = np.zeros_like(maps.logits)
        logits[3] = 1000
        cache.write(index, StoredMaps(maps.size, maps.discriminators, logits), Shard())
    with pytest.raises(FailureError, match="no pixel of any image got a proxy"):
        make_proxies(run)
    found = record(copied)
    assert found["t2"]["wall"] == 1
    assert found["ties"]["t2"]["wall"] == 1
    assert found["pixels_kept"] == 0
    assert "no proxies of class wall: 100% of its" in caplog.text


def test_values_that_are_not_finite_name_the_image(run, copied, straight):
    shutil.copytree(straight / "cache", copied / "cache")
    cache = cache_of(copied)
    maps = cache.read(1)
    maps.logits[0, 0, 0] = np.nan
    cache.write(1, maps, Shard())
    with pytest.raises(FailureError, match=f"{cache.names[1]}: class probabilities must be finite"):
        make_proxies(run)


@pytest.mark.parametrize("wrong", [["--shard", "0/2"], ["--shard", "3/2"], ["--also", "0.5"], ["--also", "0,1"]])
def test_flags_that_make_no_sense_are_one_line(wrong, tiny_world, tmp_path):
    done = subprocess.run(command(tmp_path, tiny_world, *wrong), check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{wrong[1]}: expected" in done.stderr


def test_the_thresholds_can_be_looked_at(straight, tiny_world, tmp_path):
    run = Run(small_experiment(tiny_world), straight)
    drawn = draw_thresholds(run, image=2, out=tmp_path / "picture.png")
    assert (drawn.expected, drawn.labelled) == (0.48, record(straight)["share_labelled"])
    cache, moved = cache_of(straight), 0
    paths = sorted((straight / "proxies" / "labels").rglob("*.png"))
    for path, (probabilities, _) in zip(paths, whole_images(cache.read(index) for index in range(len(cache)))):
        labels = read_train_ids(path, 19)
        moved += ((labels != 255) & (labels != probabilities.argmax(axis=0))).sum()
    assert drawn.moved == moved / record(straight)["pixels_kept"] > 0
    pixels = read_image(drawn.path)
    assert pixels.shape[1] == 1300
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    shutil.copytree(straight, tmp_path / "other")
    (tmp_path / "other" / "proxies" / "proxies.json").write_text(json.dumps(dict(record(straight), made_from={})))
    with pytest.raises(UserError, match="these proxies were made from something else than"):
        draw_thresholds(Run(small_experiment(tiny_world), tmp_path / "other"))
    with pytest.raises(UserError, match="--image 4: there are 4 images: expected 0 to 3"):
        draw_thresholds(run, image=4)
    with pytest.raises(UserError, match=r"proxies\.json: missing, so there are no proxies yet: make them with python"):
        draw_thresholds(Run(small_experiment(tiny_world), tmp_path))


def test_the_distributions_in_the_picture_count_every_pixel():
    rng = np.random.default_rng(0)
    confidence, score = rng.random((9, 7), dtype="float32"), rng.random((9, 7), dtype="float32")
    confidence[0, 0] = score[0, 0] = 1
    label = rng.integers(0, 3, (9, 7))
    found = Distributions(3)
    for rows in (slice(0, 4), slice(4, 9)):
        found.add(confidence[rows], label[rows], score[rows], 0.3)
    np.testing.assert_array_equal(found.confidence, np.histogram(confidence, BINS, (0, 1))[0])
    for c in range(3):
        chosen = score[(label == c) & (confidence > 0.3)]
        np.testing.assert_array_equal(found.scores[c], np.histogram(chosen, BINS, (0, 1))[0])


def test_an_audit_is_made_anew_when_the_truth_has_changed(copied, tiny_world, tmp_path, caplog):
    world = tmp_path / "world"
    shutil.copytree(tiny_world, world)
    moved = Run(small_experiment(world), copied)
    make_proxies(moved, audit=True)
    before = record(copied)["audit"]
    for path in (world / "cityscapes" / "gtFine" / "train").rglob("*_labelIds.png"):
        write_png(path, np.full_like(read_label_ids(path), 26))
    make_proxies(moved, audit=True)
    assert record(copied)["audit"] != before
    caplog.clear()
    caplog.set_level("INFO")
    make_proxies(moved)
    assert "right" not in caplog.text, "nobody has looked at the truth"
