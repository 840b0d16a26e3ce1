"""Fuzz a parser of files that users have: python tests/fuzz.py PARSER --seconds 600 [--seed N].

Files of tests/fuzz_corpus are altered at random and read in a process of its own.  An outcome is fine if it is an error
of one line, or a result; of what this project writes itself, only the result that was written.  Everything else is
reported with the file that caused it: another exception, the end of the process, ten seconds without an answer.
"""

import argparse
import contextlib
import faulthandler
import json
import logging
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).resolve().parent / "fuzz_corpus"
ROOT = Path(__file__).resolve().parent.parent
_HANG_SECONDS = 10
_LARGEST = 1 << 16


def parsers():
    """Return, by name: how a file is read, what it may raise, and whether no altered one may be accepted."""
    from gluon_madapt.config import ConfigError, load_experiment
    from gluon_madapt.data.image_files import read_image
    from gluon_madapt.data.label_files import read_label, read_train_ids
    from gluon_madapt.errors import UserError
    from gluon_madapt.labels import class_set, label_map
    from gluon_madapt.proxy_maps.cache import MapCache
    from gluon_madapt.training.checkpoint import read_checkpoint
    from gluon_madapt.weights.gluon_files import NoParameterFileError, read_arrays

    classes = class_set(19)

    def read_cache(path):
        cache = MapCache(path.parent, [path.stem], {"discriminators": ["D1", "D2"]})
        return cache.read(0)

    def read_labels(path):
        for dataset in ("gta5", "synthia"):
            with contextlib.suppress(UserError):
                read_label(path, label_map(dataset, classes))
        return read_train_ids(path, 19)

    damaged = (UserError, NoParameterFileError)
    return {
        "parameters": (read_arrays, damaged, False),
        "checkpoint": (lambda path: read_checkpoint(path).arrays, UserError, True),
        "cache": (read_cache, UserError, True),
        "labels": (read_labels, UserError, False),
        "images": (read_image, UserError, False),
        "yaml": (load_experiment, ConfigError, False),
    }


def seeds(name):
    """Return the files that alterations start from."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def altered(rng, corpus):
    """Return a file of the corpus with a few random changes."""
    data = bytearray(corpus[rng.integers(len(corpus))])
    for _ in range(1 + rng.geometric(0.5)):
        if not data:
            break
        place = int(rng.integers(len(data)))
        length = int(min(rng.geometric(0.1), len(data) - place))
        kind = rng.integers(7)
        if kind == 0:  # a bit
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:  # bytes
            data[place : place + length] = rng.bytes(length)
        elif kind == 2:  # a number that parsers stumble over
            extreme = (0, 1, 0x7F, 0x80, 0xFF)[rng.integers(5)]
            data[place : place + 8] = bytes([extreme] * min(8, len(data) - place))
        elif kind == 3:  # less
            del data[place : place + length]
        elif kind == 4:  # more
            data[place:place] = rng.bytes(length)
        elif kind == 5:  # the end is missing
            del data[place:]
        else:  # a piece of another file
            other = corpus[rng.integers(len(corpus))]
            start = int(rng.integers(len(other)))
            data[place : place + 64] = other[start : start + 64]
    return bytes(data[:_LARGEST])


def with_checksums(data):
    """Give the chunks of a PNG, if it is one, the checksums that their altered contents have."""
    if not data.startswith(b"\x89PNG"):
        return data
    whole, place = bytearray(data), 8
    while place + 12 <= len(whole):
        end = place + 8 + int.from_bytes(whole[place : place + 4], "big")
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = zlib.crc32(whole[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(whole)


def same(one, other):
    """Tell whether two results of a parser hold the same arrays."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other


def fuzz(name, seconds, seed, folder, most=None):
    """Alter and read files for a while; return how many of them, and how many were read.

    Raises
    ------
    AssertionError
        If an outcome is not fine; the file is ``folder``'s input.
    """
    read, errors, own = parsers()[name]
    corpus = seeds(name)
    rng = np.random.default_rng(seed)
    path = folder / {"yaml": "input.yaml", "cache": "small.png.npz"}.get(name, "input")
    written = []
    for data in corpus:
        path.write_bytes(data)
        written.append(read(path) if own else None)
    tried = accepted = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or tried < most):
        data = altered(rng, corpus)
        if rng.integers(2):
            data = with_checksums(data)
        path.write_bytes(data)
        tried += 1
        signal.setitimer(signal.ITIMER_PROF, _HANG_SECONDS)  # of the processor's time: others may be at work
        try:
            result = read(path)
        except errors as error:
            assert "\n" not in str(error).strip(), error
            continue
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        accepted += 1
        if own:
            assert any(same(result, one) for one in written), "an altered file was read as something else"
    return {"tried": tried, "read": accepted}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parser", choices=("parameters", "checkpoint", "cache", "labels", "images", "yaml"))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        faulthandler.enable()
        logging.disable(logging.CRITICAL)
        print(json.dumps(fuzz(options.parser, options.seconds, options.seed, options.inside)))
        return
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{options.parser}-"))
    command = [sys.executable, __file__, options.parser, "--seconds", str(options.seconds), "--seed", str(options.seed)]
    done = subprocess.run([*command, "--inside", str(folder)], check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        sys.exit(f"{options.parser}: ended with {done.returncode}; the file is in {folder}")
    print(options.parser, done.stdout.strip())


if __name__ == "__main__":
    main()
