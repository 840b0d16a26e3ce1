"""What stages, scores and tables take from disk and use again is of the content that is there now, or it is refused."""

import json
import shutil

import cv2
import numpy as np
import pytest
from altered_files import SOURCE, SOURCE_LABELS, TARGET, alter
from PIL import Image
from small_experiments import run_stages, small_experiment

from gluon_madapt.data import file_cache
from gluon_madapt.data.image_files import read_image, write_png
from gluon_madapt.data.label_files import read_train_ids
from gluon_madapt.errors import UserError
from gluon_madapt.proxy_maps.cache import Shard
from gluon_madapt.report.examples import stored_maps
from gluon_madapt.report.threshold_figure import draw_thresholds
from gluon_madapt.run_layout import PROXY_LABELS
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source
from gluon_madapt.training.distributed import Distributed

STAGES = {"source": train_source, "adversarial": train_adversarial, "proxies": make_proxies, "retrain": retrain}


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    """A run folder in which all stages are finished."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_stages(tiny_world, folder, *STAGES.values())
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def world(tiny_world, tmp_path):
    shutil.copytree(tiny_world, tmp_path / "world")
    return tmp_path / "world"


def run_of(world, folder, *overrides, **options):
    return Run(small_experiment(world, *overrides, iterations=1), folder, **options)


def unfinish(folder, stage):
    """Have a stage look as if it was stopped before its first checkpoint."""
    for name in ("checkpoint.npz", "metrics.json"):
        (folder / stage / name).unlink(missing_ok=True)


@pytest.mark.parametrize("state", ["finished", "stopped"])
@pytest.mark.parametrize(
    ("altered", "stage", "message"),
    [
        (SOURCE_LABELS, "source", r"made from\.images was 6 images, .*\(other label files, the same images\).*--fresh"),
        (SOURCE, "source", r"made from\.images was 6 images, .*\(other images, the same label files\).*--fresh"),
        (SOURCE_LABELS, "adversarial", r"made from\.source was .*\(other label files, the same images\).*--fresh"),
        (SOURCE, "adversarial", r"made from\.source was .*\(other images, the same label files\).*--fresh"),
        (TARGET, "adversarial", r"made from\.target was .*\(other images\).*--fresh"),
        (TARGET, "proxies", r"made from\.images was .*\(other images\).*--fresh"),
        (TARGET, "retrain", r"the proxy labels were made for other images .*\(other images\).*make_proxy.*--fresh"),
    ],
)
def test_a_stage_refuses_to_go_on_with_other_content(folder, world, altered, stage, message, state):
    alter(world / altered)
    if state == "stopped":
        unfinish(folder, stage)
    with pytest.raises(UserError, match=message):
        STAGES[stage](run_of(world, folder))


@pytest.mark.parametrize("stage", STAGES)
def test_a_copy_of_the_data_is_no_change(folder, world, stage, caplog):
    STAGES[stage](run_of(world, folder))
    assert "made anew" not in caplog.text


def in_older_form(folder, run, stage):
    """Have a stage say what it was made from as it once did; return the path and what it says now."""
    path = folder / stage / "inputs.json"
    inputs = json.loads(path.read_text())
    older = {"source": ("source", "images"), "adversarial": ("source", "source"), "proxies": ("target", "images")}
    which, key = older.get(stage, ("target", "images"))
    inputs[key] = run.dataset(which, labelled=which == "source").fingerprint.older
    path.write_text(json.dumps(inputs))
    return path, key


@pytest.mark.parametrize("stage", STAGES)
def test_records_of_names_and_sizes_alone_count_and_are_renewed(folder, world, stage):
    run = run_of(world, folder)
    before = json.loads((folder / stage / "inputs.json").read_text())
    path, key = in_older_form(folder, run, stage)
    assert json.loads(path.read_text())[key] != before[key]
    STAGES[stage](run)
    assert json.loads(path.read_text()) == before


def older_cache(folder, run):
    """Have the maps say what they were made from as they once did."""
    record = folder / "cache" / "inputs.json"
    _, cache, target = stored_maps(run)
    older = dict(cache.made_from, images=target.fingerprint.older)
    del older["format"]
    twin = type(cache)(cache.folder, cache.names, older)
    for index in range(len(cache)):
        twin.write(index, cache.read(index), Shard())
    record.write_text(json.dumps(twin.made_from))
    shutil.rmtree(folder / "proxies")
    return record


def test_maps_of_an_older_record_count_and_their_record_is_renewed(folder, world, monkeypatch):
    before = (folder / "cache" / "inputs.json").read_text()
    record = older_cache(folder, run_of(world, folder))
    monkeypatch.setattr("gluon_madapt.proxy_maps.network_pass.load_networks", None)
    make_proxies(run_of(world, folder))
    assert record.read_text() == before
    assert draw_thresholds(run_of(world, folder)).path.is_file()


@pytest.mark.parametrize("shard", [None, Shard(1, 2)])
def test_maps_of_other_images_are_refused(folder, world, shard):
    alter(world / TARGET)
    shutil.rmtree(folder / "proxies")
    with pytest.raises(UserError, match=r"holds the network's maps of another images: give --fresh"):
        make_proxies(run_of(world, folder), shard=shard)


def test_maps_of_other_images_are_not_drawn(folder, world):
    alter(world / TARGET)
    with pytest.raises(UserError, match="these proxies were made from something else"):
        draw_thresholds(run_of(world, folder))


def labels_of(folder):
    return sorted((folder / "proxies" / PROXY_LABELS).rglob("*.png"))


def by_hand(path):
    labels = read_train_ids(path, 19).copy()
    labels[:5] = 3
    write_png(path, labels)


def by_another_file(path):
    path.write_bytes(max(path.parents[1].rglob("*.png")).read_bytes())


def by_one_bit(path):
    alter(path)


def by_nothing(path):
    path.write_bytes(b"")


def log_of_older(folder):
    """Have the log say no more of a label file than it once did."""
    log = folder / "proxies" / "log.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps({k: v for k, v in one.items() if k != "file_sha256"}) + "\n" for one in entries))


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("change", [by_hand, by_another_file, by_one_bit, by_nothing])
def test_altered_proxies_are_not_trained_on_and_made_anew(folder, world, change, older, caplog):
    first = labels_of(folder)[0]
    before = first.read_bytes()
    if older:
        log_of_older(folder)
    change(first)
    altered = first.read_bytes()
    unfinish(folder, "retrain")
    with pytest.raises(UserError, match=rf"{first.name}: was altered after stage 3 .*\(1 such.*: put it back, or make"):
        retrain(run_of(world, folder))
    make_proxies(run_of(world, folder))
    assert f"{first}: was altered after it was written: it is now called {first.name}.altered" in caplog.text
    assert first.read_bytes() == before
    assert first.with_name(f"{first.name}.altered").read_bytes() == altered
    retrain(run_of(world, folder))


@pytest.mark.parametrize("older", [False, True])
def test_proxies_that_are_compressed_otherwise_are_the_same(folder, world, older):
    if older:
        log_of_older(folder)
    first = labels_of(folder)[0]
    labels, before = read_train_ids(first, 19), first.read_bytes()
    cv2.imwrite(str(first), labels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert first.read_bytes() != before
    retrain(run_of(world, folder))
    make_proxies(run_of(world, folder))
    assert first.read_bytes() != before, "it was not made anew"


def test_without_a_log_altered_proxies_are_refused_all_the_same(folder, world):
    (folder / "proxies" / "log.jsonl").unlink()
    retrain(run_of(world, folder))
    by_hand(labels_of(folder)[0])
    with pytest.raises(UserError, match=r"labels: holds other labels than stage 3 has made.*make_proxy.* --fresh"):
        retrain(run_of(world, folder))


def test_other_images_of_equal_size_get_other_proxies(folder, world):
    """As BMP files are, whose size is that of any other image with so many pixels."""
    first = min((world / TARGET).rglob("*.png"))
    write_png(first, np.ascontiguousarray(read_image(first)[:, ::-1]))
    make_proxies(run_of(world, folder, fresh=True))
    old = next(folder.glob("proxies.*.old"))
    changed = [
        one.read_bytes() != (old / one.relative_to(folder / "proxies")).read_bytes() for one in labels_of(folder)
    ]
    assert changed[0]


@pytest.mark.parametrize("stage", ["source", "adversarial", "proxies", "retrain"])
def test_files_are_read_once_however_many_stages_use_them(folder, world, stage, monkeypatch):
    monkeypatch.setattr(file_cache, "SETTLED_NS", -(10**12))
    STAGES[stage](run_of(world, folder))
    monkeypatch.setattr(file_cache, "_here", {})
    monkeypatch.setattr(file_cache, "_digest", None)
    monkeypatch.setattr(file_cache, "_size", None)
    STAGES[stage](run_of(world, folder))


@pytest.mark.parametrize(
    ("overrides", "data", "message"),
    [
        ((), SOURCE_LABELS, r"checkpoint\.npz: is of another training, whose made from is .*--fresh"),
        (("seed=7",), None, r"checkpoint\.npz: is of another training, whose seed is 7, not 1: put back"),
    ],
)
def test_a_checkpoint_of_another_training_is_not_gone_on_from(
    tiny_world, world, folder, tmp_path, overrides, data, message
):
    if data:
        alter_label(world / data)
    train_source(run_of(world, tmp_path / "other", *overrides))
    shutil.copy(tmp_path / "other" / "source" / "checkpoint.npz", folder / "source" / "checkpoint.npz")
    with pytest.raises(UserError, match=message):
        train_source(run_of(tiny_world, folder))


def test_a_checkpoint_of_another_stage_is_not_gone_on_from(tiny_world, folder):
    shutil.copy(folder / "source" / "checkpoint.npz", folder / "retrain" / "checkpoint.npz")
    with pytest.raises(UserError, match="is of another training, whose stage is source, not retrain"):
        retrain(run_of(tiny_world, folder))


def alter_label(folder):
    """Give the first label of GTA5 other ids."""
    path = min(folder.glob("*.png"))
    write_png(path, np.full_like(np.array(Image.open(path)), 7))


@pytest.mark.parametrize("stage", ["source", "adversarial", "retrain"])
def test_of_several_workers_the_first_one_reads_the_files(folder, world, stage, monkeypatch):
    monkeypatch.setattr(Distributed, "is_main", False)
    monkeypatch.setattr(file_cache, "_digest", None)
    STAGES[stage](run_of(world, folder))
