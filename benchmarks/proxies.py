"""Proxy selection: how exact, how fast, how large.  Every figure is a ratio of two things measured in this run.

    python benchmarks/proxies.py exactness [--cityscapes DIR]   against a sort of everything
    python benchmarks/proxies.py speed                          against lists of scores, and against the network
    python benchmarks/proxies.py growth                         3,000 images against 100, time and memory

Each figure is the median of --repeats runs, the two sides taking turns.  Scratch files go to --scratch.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from lists_of_scores import label_by_lists

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
from brute_force import divided_labels, sorted_thresholds, whole_images

from gluon_madapt.config import Data, load_experiment
from gluon_madapt.data import normalize, open_dataset, resize_image
from gluon_madapt.models import SPACES
from gluon_madapt.models.bilinear import resize_like
from gluon_madapt.proxies import Shares, compute_thresholds, label_image
from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.proxy_maps.labelling import Labelling, label_all
from gluon_madapt.proxy_maps.network_pass import Networks
from gluon_madapt.proxy_maps.threshold_search import SavedSearch, find_thresholds
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.stages import Run
from gluon_madapt.upsampling import probability_blocks

CLASSES, THREADS = 19, 2
PAPER = Shares(0.6, 0.8)
TABLE_4 = [
    Shares(*map(float, path.stem[3:].split("_p2_"))) for path in sorted((ROOT / "configs" / "ablations").glob("p1_*"))
]
SMALL, FULL = (512, 1024), (1024, 2048)
CITYSCAPES_IMAGES = 2975


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exactness", "speed", "growth", "select"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=20, help="images of the speed measures")
    parser.add_argument("--many", type=int, default=3000, help="images of the growth measure")
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--cityscapes", type=Path, help="a Cityscapes tree, for maps of real images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        options.folder = Path(scratch)
        results = {"exactness": exactness, "speed": speed, "growth": growth, "select": select}[options.what](options)
    print(json.dumps(results, indent=2))


def exactness(options):
    """Compare thresholds and labels with a sort of everything; return how many of each were compared and differ."""
    rng = np.random.default_rng(0)
    sets = {
        "random, 1024x512": [synthetic(rng, SMALL) for _ in range(4)],
        "coarse: scores of a few values only": [synthetic(rng, SMALL, coarse=True) for _ in range(4)],
        "saturated: most probabilities round to 1": [synthetic(rng, SMALL, scale=60) for _ in range(4)],
        "constant discriminator maps": [one._replace(discriminators=constant()) for one in [synthetic(rng, SMALL)]],
    }
    if options.cityscapes:
        sets["real images, 2048x1024, ResNet101 of random weights"] = real_maps(options.cityscapes)
    return {name: compare(maps) for name, maps in sets.items()}


def compare(maps):
    whole = whole_images(maps)
    found = {"settings": 0, "thresholds": 0, "labels": 0, "thresholds that differ": 0, "labels that differ": 0}
    for shares in (*TABLE_4, Shares(1.0, 1.0), Shares(0.01, 0.29)):
        thresholds = compute_thresholds(whole, *shares)
        t1, t2 = sorted_thresholds(whole, *shares)
        found["settings"] += 1
        found["thresholds"] += 1 + CLASSES
        found["thresholds that differ"] += int(t1.tobytes() != thresholds.t1.tobytes())
        found["thresholds that differ"] += int((t2.view(np.uint32) != thresholds.t2.view(np.uint32)).sum())
        for p, a in whole:
            expected = divided_labels(p, a, t1, t2)
            found["labels"] += expected.size
            found["labels that differ"] += int((label_image(p, a, thresholds) != expected).sum())
    return found


def speed(options):
    """Time one setting against lists of scores and the network, and Table 4's settings against one."""
    cache = synthetic_cache(options.folder / "small", options.images, SMALL)
    full = synthetic_cache(options.folder / "full", options.images, FULL)
    maps = []
    for index in range(options.images):
        maps.append(options.folder / f"{index}.npy")
        stored = cache.read(index)
        np.save(maps[-1], np.concatenate([one.copy() for one in probability_blocks(stored.logits, *SMALL)], axis=1))
    network = network_on_random_images()
    sides = {
        "lists of scores": lambda: label_by_lists(maps, options.folder / "lists", PAPER.p2),
        "one setting": lambda: run_selection(cache, [PAPER], options.folder),
        "14 settings": lambda: run_selection(cache, TABLE_4, options.folder),
        "one setting, 2048x1024": lambda: run_selection(full, [PAPER], options.folder),
        "network pass": network,
        "upsampling and softmax, MXNet": lambda: upsample_by_mxnet(cache.read(0).logits),
        "upsampling and softmax, compiled": lambda: sum(1 for _ in probability_blocks(cache.read(0).logits, *SMALL)),
    }
    sides["one setting"](), network()  # compile
    seconds = {name: [] for name in sides}
    for _ in range(options.repeats):
        for name, side in sides.items():
            images = options.images if "setting" in name or "lists" in name else 1
            seconds[name].append(timed(side) / images)
            print(f"{name}: {seconds[name][-1]:.4f} s per image", file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}

    def ratio(one, other):
        return statistics.median(a / b for a, b in zip(seconds[one], seconds[other]))

    return {
        "seconds per image, medians": medians,
        "lists of scores / one setting": ratio("lists of scores", "one setting"),
        "one setting / network pass": ratio("one setting", "network pass"),
        "14 settings / one setting": ratio("14 settings", "one setting"),
        "upsampling and softmax, MXNet / compiled": ratio(
            "upsampling and softmax, MXNet", "upsampling and softmax, compiled"
        ),
        "one setting, 2048x1024 / 1024x512": ratio("one setting, 2048x1024", "one setting"),
        f"hours for {CITYSCAPES_IMAGES} images, selection at 2048x1024": medians["one setting, 2048x1024"]
        * CITYSCAPES_IMAGES
        / 3600,
        f"hours for {CITYSCAPES_IMAGES} images, network pass": medians["network pass"] * CITYSCAPES_IMAGES / 3600,
        "bytes per image in the cache": sum(one.stat().st_size for one in cache.folder.rglob("*.npz")) / len(cache),
    }


def growth(options):
    """Select over few and over many images, each in a process of its own; time per image and peak memory."""
    few, many = 100, options.many
    cache = options.folder / "cache"
    synthetic_cache(cache, many, SMALL)
    rows = []
    for _ in range(options.repeats):
        for number in (few, many):
            command = [sys.executable, __file__, "select", "--images", str(number), "--scratch", str(cache)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append(dict(found, images=number))
            print(rows[-1], file=sys.stderr, flush=True)

    def ratios(key):
        pairs = zip(rows[::2], rows[1::2])
        return statistics.median(larger[key] / smaller[key] for smaller, larger in pairs)

    return {
        "runs": rows,
        f"seconds per image, {many} / {few}": ratios("seconds per image"),
        f"peak memory, {many} / {few}": ratios("peak MB"),
    }


def select(options):
    """Select over the first images of the cache that `growth` made, in this process."""
    cache = MapCache(options.scratch, names(options.images), MADE_FROM)
    few = MapCache(options.scratch, names(10), MADE_FROM)
    run_selection(few, [PAPER], options.folder)  # compiles, or loads what was compiled
    seconds = timed(lambda: run_selection(cache, [PAPER], options.folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds per image": seconds / options.images, "peak MB": peak}


def run_selection(cache, settings, folder):
    """Find thresholds and write labels, as the stage does."""
    shutil.rmtree(folder / "selected", ignore_errors=True)
    folders = [folder / "selected" / str(index) for index in range(len(settings))]
    saved = SavedSearch(folders[0] / "search.npz", cache, settings)
    thresholds = find_thresholds(cache, settings, CLASSES, THREADS, saved)
    labellings = [Labelling(one, cache.names, CLASSES) for one in folders]
    for one in labellings:
        one.restore()
    label_all(cache, labellings, thresholds, THREADS)


MADE_FROM = {"checkpoint": "none: these maps are drawn", "discriminators": ["D1", "D2"]}


def names(number):
    return [f"{index:05d}.png" for index in range(number)]


def upsample_by_mxnet(logits):
    from mxnet import nd  # noqa: PLC0415 - imports once gluon_madapt has been

    return nd.softmax(resize_like(nd, nd.array(logits[None]), nd.empty((1, 1, *SMALL))), axis=1).asnumpy()


def synthetic_cache(folder, number, size):
    cache, rng = MapCache(folder, names(number), MADE_FROM), np.random.default_rng(1)
    with cache.writing(Shard()):
        for index in range(number):
            cache.write(index, synthetic(rng, size), Shard())
    return cache


def synthetic(rng, size, coarse=False, scale=5.0):
    """Draw smooth maps of a network input of 1024x512, for an image of a (height, width)."""
    small = (rng.normal(size=(CLASSES, 16, 32)) * scale + rng.normal(size=(CLASSES, 1, 1)) * 2).astype(np.float32)
    logits = np.stack([cv2.resize(one, (256, 128), interpolation=cv2.INTER_CUBIC) for one in small])
    discriminators = [rng.random((16, 32), dtype=np.float32) for _ in range(2)]
    if coarse:
        logits = np.repeat(np.repeat(np.round(logits[:, ::8, ::8]), 8, axis=1), 8, axis=2)
        discriminators = [np.round(one * 2) / np.float32(2) for one in discriminators]
    return StoredMaps(size, discriminators, logits)


def constant():
    return [np.full((16, 32), 0.3, dtype=np.float32)] * 2


def network_on_random_images():
    """Return a pass of ResNet101 and both discriminators over an image of 1024x512."""
    networks = random_networks()
    image = np.random.default_rng(0).normal(size=(3, *SMALL)).astype(np.float32)
    return lambda: networks.maps(image, SMALL)


def random_networks():
    run = Run(load_experiment(ROOT / "configs" / "base.yaml", ["model.weights=none", "devices=[cpu(0)]"]))
    net = new_segmenter(run)
    return Networks(run, net, new_space(run, net, "features", SPACES["features"].cells(2)))


def real_maps(cityscapes):
    networks = random_networks()
    images = open_dataset(Data(dataset="cityscapes", root=str(cityscapes)))
    seen = [normalize(resize_image(images.image(index), SMALL[::-1])) for index in range(len(images))]
    return [networks.maps(one, FULL) for one in seen]


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
