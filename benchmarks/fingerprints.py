"""How long the fingerprint of a data set takes, when its files are read and when they are remembered.

    python benchmarks/fingerprints.py --pairs 25000

Draws pairs of 64x64 pixels in a temporary folder.  Each call is a process of its own, with a memory of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CALL = """
import sys, time
from gluon_madapt.config import Data
from gluon_madapt.data import open_dataset
from gluon_madapt.labels import class_set, label_map
began = time.perf_counter(), time.process_time()
dataset = open_dataset(Data(dataset="gta5", root=sys.argv[1]), label_map("gta5", class_set(19)))
dataset.fingerprint
print(f"{time.perf_counter() - began[0]:.2f} s ({time.process_time() - began[1]:.2f} s of CPU)")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=25000)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        size = draw(Path(folder), pairs)
        time.sleep(3)  # what was written just now is not remembered
        environment = dict(os.environ, GLUON_MADAPT_CACHE=f"{folder}/memory", PYTHONPATH=str(ROOT))
        for call in ("first", "second", "third"):
            command = [sys.executable, "-c", CALL, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            print(f"{call} call, {pairs} pairs, {size / 1e6:.0f} MB: {done.stdout.strip()}")


def draw(folder, pairs):
    """Write images of noise and labels of one class; return how many bytes they have."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    size = 0
    for number in range(pairs):
        image = folder / "images" / f"{number:05d}.png"
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(image, compress_level=1)
        label = folder / "labels" / image.name
        Image.fromarray(np.full((64, 64), 7, dtype=np.uint8)).save(label)
        size += image.stat().st_size + label.stat().st_size
    return size


if __name__ == "__main__":
    main()
