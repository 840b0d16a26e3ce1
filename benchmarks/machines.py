"""Measures what training across hosts costs: python benchmarks/machines.py --world data/mini, as root.

Hosts are namespaces of this machine's network (tests/machines/hosts.py), so they share its cores.  Prints Markdown.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "machines")]

from hosts import Hosts  # noqa: E402

from gluon_madapt.files.json_files import read_log  # noqa: E402

NAMES = ("a", "b", "c")
ITERATIONS = 60


def on(hosts, names, words):
    """Run a command as workers on some hosts, a thread each; return what it said."""
    launch = [sys.executable, str(ROOT / "tools" / "launch.py"), "-n", str(len(names)), "--hosts", ",".join(names)]
    command = [*hosts.at("a"), *launch, "--", "env", "OMP_NUM_THREADS=1", f"PYTHONPATH={ROOT}", sys.executable, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def training(hosts, names, world, folder):
    """Train stage 1 of the mini world on some hosts; return medians of what the log says of its iterations."""
    sets = [f"data.{which}.root={world}/{name}" for which, name in (("source", "gta5"), ("target", "cityscapes"))]
    sets += [f"source.iterations={ITERATIONS}", "bookkeeping={log_every: 5, eval_every: 0, checkpoint_every: 1000}"]
    words = [str(ROOT / "tools" / "train_source.py"), "--config", str(ROOT / "configs" / "mini" / "gta5.yaml")]
    words += ["--run-dir", str(folder), *(word for one in sets for word in ("--set", one))]
    on(hosts, names, words)
    log = read_log(folder / "source" / "log.jsonl")[1:]
    keys = ("images_per_second", "bytes_sent", "communicating", "waiting_for_workers")
    return {key: statistics.median(entry[key] for entry in log) for key in keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, required=True, help="a mini world")
    world = parser.parse_args().world.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Hosts(folder / "hosts", NAMES) as hosts:
            print("| workers | images/s | MB sent an iteration | communicating | waiting for workers |")
            print("|---:|---:|---:|---:|---:|")
            for workers in (1, 2, 3):
                one = training(hosts, NAMES[:workers], world, folder / f"run-{workers}")
                shares = f"{one['communicating']:.0%} | {one['waiting_for_workers']:.0%}"
                print(f"| {workers} | {one['images_per_second']:.1f} | {one['bytes_sent'] / 1e6:.1f} | {shares} |")
            print("\n| workers | line of each host | MB sent by each | seconds of a sum, median (all) |")
            print("|---:|---|---:|---|")
            for rate in ("as it is", "1gbit"):
                if rate != "as it is":
                    for host in NAMES:
                        hosts.limit(host, rate)
                for workers in (1, 2, 3):
                    said = on(hosts, NAMES[:workers], [str(ROOT / "benchmarks" / "sums.py"), "5"])
                    one = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
                    seconds = f"{statistics.median(one['seconds']):.2f} ({', '.join(map(str, one['seconds']))})"
                    print(f"| {workers} | {rate} | {one['bytes'] / 1e6:.0f} | {seconds} |", flush=True)
            print(f"\n{one['parameters']:,} parameters learn.")


if __name__ == "__main__":
    main()
