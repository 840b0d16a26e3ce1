"""Writes the mini world: small GTA5, SYNTHIA and Cityscapes trees in those data sets' own on-disk formats."""

import hashlib
import json
import shutil
import tempfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

import cv2
import numpy as np

from gluon_madapt.data.file_cache import digests
from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import write_json
from gluon_madapt.miniworld import formats
from gluon_madapt.miniworld.layout import CITYSCAPES, GTA5, SYNTHIA, Layout
from gluon_madapt.miniworld.looks import GTA5_LOOK, REAL_LOOK, SYNTHIA_LOOK, Look
from gluon_madapt.miniworld.render import render
from gluon_madapt.miniworld.scene import build_scene

# Raise it with every change that alters a pixel, so that a mini world of another version is not taken for this one's.
GENERATOR_VERSION = 2
RECORD = "miniworld.json"
_WORKERS = 2
_IMAGES_PER_TASK = 10
# Fewer images than this are drawn before a second process has started.
_WORTH_A_POOL = 60
# What is counted in each tree.
_TREES = (("gta5",), ("synthia",), ("train", "val"))


class _Domain(NamedTuple):
    layout: Layout
    look: Look
    folder: str
    write: Callable[..., None]


_DOMAINS = {
    "gta5": _Domain(GTA5, GTA5_LOOK, "gta5", formats.write_gta5),
    "synthia": _Domain(SYNTHIA, SYNTHIA_LOOK, "synthia", formats.write_synthia),
    "cityscapes/train": _Domain(CITYSCAPES, REAL_LOOK, "cityscapes", partial(formats.write_cityscapes, split="train")),
    "cityscapes/val": _Domain(CITYSCAPES, REAL_LOOK, "cityscapes", partial(formats.write_cityscapes, split="val")),
}


def make_miniworld(
    out: Path, seed: int = 1, gta5: int = 300, synthia: int = 300, train: int = 300, val: int = 60
) -> bool:
    """Write ``out/gta5``, ``out/synthia`` and ``out/cityscapes``.

    Every image is a function of the seed, its tree and split, and its number alone.

    Parameters
    ----------
    out : Path
        A folder that does not exist, or is empty, or holds a mini world already: trees that it lacks are added.
    seed : int
        Of all randomness.
    gta5, synthia, train, val : int
        Numbers of images; the last two are those of Cityscapes' splits.

    Returns
    -------
    bool
        False if ``out`` already holds this very mini world, or one with more trees, which is then left as it is.

    Raises
    ------
    UserError
        If a number is negative, or ``out`` holds something else or cannot be written.
    """
    record = _record(seed, gta5, synthia, train, val)
    out = Path(out)
    there = _record_of(out, record)
    missing = {name: value for name, value in record.items() if value and not there.get(name)}
    if there and not missing:
        return False
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from error
    try:
        _write_trees(building, seed, missing)
        if there:
            _add(building, out, {**record, **there, **missing})
        else:
            _write_record(building, record, _contents_of(dict.fromkeys(_trees_of(record), building)))
            # mkdtemp keeps others out; what it made becomes an ordinary folder.
            building.chmod(0o755)
            building.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return True


def refuse_another(out: Path, seed: int, gta5: int, synthia: int, train: int, val: int) -> None:
    """Raise the UserError that `make_miniworld` would, of what is in ``out``; draw nothing."""
    _record_of(Path(out), _record(seed, gta5, synthia, train, val))


def _record(seed: int, gta5: int, synthia: int, train: int, val: int) -> Dict[str, int]:
    record = {"version": GENERATOR_VERSION, "seed": seed, "gta5": gta5, "synthia": synthia, "train": train, "val": val}
    for name, value in record.items():
        if value < 0:
            raise UserError(f"{name} is {value}: expected a number that is not negative")
    return record


def _record_of(out: Path, record: Dict[str, int]) -> Dict[str, int]:
    """Return the record of the mini world in ``out``, to which trees of ``record`` may be added; {} if it is free."""
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return {}
        stored = json.loads((out / RECORD).read_text(encoding="utf-8"))
        known = {name: int(stored[name]) for name in record}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{out} exists and is not a mini world: give another --out, or delete it") from error
    trees = [names for names in _TREES if any(known[one] for one in names) and any(record[one] for one in names)]
    same = ("version", "seed", *(name for names in trees for name in names))
    differing = [f"{name} is {known[name]}, not {record[name]}" for name in same if known[name] != record[name]]
    if differing:
        raise UserError(f"{out} holds another mini world ({', '.join(differing)}): give another --out, or delete it")
    if "contents" in stored and stored["contents"] != _contents_of(dict.fromkeys(_trees_of(known), out)):
        raise UserError(
            f"{out}: images or labels in it were altered, added or removed: give another --out, or delete it"
        )
    return known


def _trees_of(record: Dict[str, int]) -> List[str]:
    """Return the folders of the trees that a record counts images of."""
    return sorted({facts.folder for domain, facts in _DOMAINS.items() if record[domain.split("/")[-1]]})


def _contents_of(trees: Dict[str, Path]) -> str:
    """Return a hash of all images and labels, and of their names, of trees by the folder that each lies in."""
    paths = [(root, path) for tree, root in sorted(trees.items()) for path in sorted((root / tree).rglob("*.png"))]
    names = [path.relative_to(root).as_posix() for root, path in paths]
    facts = (f"{digest} {name}" for digest, name in zip(digests([path for _, path in paths]), names))
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()


def _add(building: Path, out: Path, record: Dict[str, int]) -> None:
    """Move new trees into a mini world, whose record says last that they are there: stopped before, it is as it was."""
    new = sorted(path.name for path in building.iterdir())
    contents = _contents_of({tree: building if tree in new else out for tree in _trees_of(record)})
    for tree in new:
        left = out / tree  # by a process that was stopped, or somebody's own
        if left.exists() and any(left.iterdir()):
            if _contents_of({tree: out}) != _contents_of({tree: building}):
                raise UserError(f"{left}: is of no tree of this mini world, and in the way: move it away")
        else:
            (building / tree).replace(left)
    _write_record(out, record, contents)


def draw(domain: str, seed: int, index: int) -> Tuple[np.ndarray, np.ndarray]:
    """Draw one image of "gta5", "synthia", "cityscapes/train" or "cityscapes/val"; see `render.render`."""
    rng = np.random.default_rng([seed, zlib.crc32(domain.encode()), index])
    scene = build_scene(_DOMAINS[domain].layout, rng)
    return render(scene, _DOMAINS[domain].look, rng)


class _Task(NamedTuple):
    """Images ``start`` to ``stop`` of one tree and split."""

    root: Path
    domain: str
    seed: int
    start: int
    stop: int


def _write_trees(root: Path, seed: int, counts: Dict[str, int]) -> None:
    """Draw as many images as ``counts`` says, by the last word of a domain."""
    tasks: List[_Task] = []
    for domain, facts in _DOMAINS.items():
        count = counts.get(domain.split("/")[-1], 0)
        if count:
            (root / facts.folder).mkdir(exist_ok=True)
        for start in range(0, count, _IMAGES_PER_TASK):
            tasks.append(_Task(root, domain, seed, start, min(start + _IMAGES_PER_TASK, count)))
    if sum(task.stop - task.start for task in tasks) < _WORTH_A_POOL:
        for task in tasks:
            _write_images(task)
        return
    # Building a scene is Python code, which threads would run one at a time; a forked process could inherit locks
    # from the threads of OpenCV or MXNet.
    with ProcessPoolExecutor(
        _WORKERS, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        list(pool.map(_write_images, tasks))


def _write_record(root: Path, record: Dict[str, int], contents: str) -> None:
    write_json(root / RECORD, dict(record, contents=contents))


def _write_images(task: _Task) -> None:
    domain = _DOMAINS[task.domain]
    for index in range(task.start, task.stop):
        image, label = draw(task.domain, task.seed, index)
        domain.write(task.root / domain.folder, index=index, image=image, label=label)
