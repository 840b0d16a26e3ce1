"""What each part of the method adds, over several mini worlds and seeds: differences of rows, with standard errors.

    python benchmarks/worlds.py --worlds 1,2,3 --seeds 0,1,2 --out docs/results/worlds/worlds
    python benchmarks/worlds.py --own-data --config configs/photographs/camvid.yaml --out camvid

Draws each world in data/world-N, runs rows of Tables 3 and 4 in runs/world-N (tools/reproduce.py, which reuses what is
there), and writes OUT.md and OUT.json; or does so with the data of the config, in runs/NAME.  Two rows are compared run
by run: world and seed are the same for both.
"""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from gluon_madapt.cli.command import seed_list
from gluon_madapt.config import load_experiment
from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.reproduction.compared import (
    ADAPTSEGNET,
    ALIGNED_CONTROL,
    ALIGNED_PROXIES,
    CBST,
    STRONG,
    STRONG_PROXIES,
    compared_rows,
)
from gluon_madapt.reproduction.results import Table
from gluon_madapt.reproduction.rows import ADABN, MEASURED

ROOT = Path(__file__).resolve().parent.parent
SOURCE, CONTROL, TWO = "source only", "control: adversarial weights 0", "two discriminators"
OF_BOTH = f"proxies after {ADABN}, {ADABN}"
SHARES = "p1 1.0, p2 0.48"
ROWS = {
    3: (
        SOURCE,
        f"{SOURCE}, {ADABN}",
        CONTROL,
        f"{CONTROL}, {ADABN}",
        "one discriminator",
        TWO,
        f"{TWO}, {ADABN}",
        f"{CONTROL}, proxies",
        f"{CONTROL}, proxies, {ADABN}",
        "one discriminator, proxies",
        f"{TWO}, proxies",
        f"{TWO}, proxies, {ADABN}",
        f"{TWO}, proxies, multi-scale",
        f"{CONTROL}, {OF_BOTH}",
        f"{TWO}, {OF_BOTH}",
    ),
    4: (SHARES,),
}
COMPARED = tuple(row.text for row in compared_rows(3))
DIFFERENCES = {
    "two discriminators - control": (TWO, CONTROL),
    "the same, AdaBN of both": (f"{TWO}, {ADABN}", f"{CONTROL}, {ADABN}"),
    "two discriminators - one": (TWO, "one discriminator"),
    "two discriminators, proxies - one, proxies": (f"{TWO}, proxies", "one discriminator, proxies"),
    "four stages - the control's four": (f"{TWO}, proxies", f"{CONTROL}, proxies"),
    "four stages - two discriminators": (f"{TWO}, proxies", TWO),
    "p1 = 0.6, p2 = 0.8 - p1 = 1, p2 = 0.48": (f"{TWO}, proxies", SHARES),
    "four stages, AdaBN twice - source only, AdaBN": (f"{TWO}, {OF_BOTH}", f"{SOURCE}, {ADABN}"),
    "four stages, AdaBN twice - the control's": (f"{TWO}, {OF_BOTH}", f"{CONTROL}, {OF_BOTH}"),
    "four stages - source only": (f"{TWO}, proxies", SOURCE),
    "multi-scale - single scale": (f"{TWO}, proxies, multi-scale", f"{TWO}, proxies"),
    "AdaptSegNet-style - its control": (f"{ADAPTSEGNET}, {MEASURED}", f"{ALIGNED_CONTROL}, {MEASURED}"),
    "two discriminators - AdaptSegNet-style": (TWO, f"{ADAPTSEGNET}, {MEASURED}"),
    "AdaptSegNet-style, weights x 100 - its control": (f"{STRONG}, {MEASURED}", f"{ALIGNED_CONTROL}, {MEASURED}"),
    "two discriminators - AdaptSegNet-style, weights x 100": (TWO, f"{STRONG}, {MEASURED}"),
    "two discriminators - AdaptSegNet-style, weights x 100, AdaBN of both": (
        f"{TWO}, {ADABN}",
        f"{STRONG}, {ADABN}, {MEASURED}",
    ),
    "weights x 100, proxies - stage 2": (f"{STRONG_PROXIES}, {MEASURED}", f"{STRONG}, {MEASURED}"),
    "CBST-style, round 3 - round 1": (f"{CBST}, round 3, {MEASURED}", f"{CBST}, round 1, {MEASURED}"),
    "four stages - CBST-style, round 3": (f"{TWO}, proxies", f"{CBST}, round 3, {MEASURED}"),
    "four stages - CBST-style, round 3, AdaBN of both": (
        f"{TWO}, proxies, {ADABN}",
        f"{CBST}, round 3, {ADABN}, {MEASURED}",
    ),
    "four stages - those of output-space discriminators": (f"{TWO}, proxies", f"{ALIGNED_PROXIES}, {MEASURED}"),
    "four stages - the same, weights x 100": (f"{TWO}, proxies", f"{STRONG_PROXIES}, {MEASURED}"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "mini" / "gta5.yaml")
    parser.add_argument("--worlds", type=seed_list, default=[1, 2, 3], metavar="N,N")
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2], metavar="N,N")
    parser.add_argument("--own-data", action="store_true", help="the config's data, in place of drawn worlds")
    parser.add_argument("--rows", nargs="*", metavar="TEXT", help="run these alone (default: all)")
    parser.add_argument("--compare", action="store_true", help="rows of other methods in Table 3, too")
    parser.add_argument("--out", type=Path, default=Path("worlds"), metavar="OUT", help="without its ending")
    options = parser.parse_args()
    numbers = {}  # by row: of each (world, seed), mIoU in percent
    for world in [None] if options.own_data else options.worlds:
        for name, of_world in run(options, world).items():
            numbers.setdefault(name, {}).update({(world, seed): value for seed, value in of_world.items()})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/worlds.py", *sys.argv[1:]])
    text = page(command, load_experiment(options.config).name, numbers)
    options.out.with_suffix(".md").write_text(text)
    runs = {name: [[*place, value] for place, value in of_row.items()] for name, of_row in numbers.items()}
    options.out.with_suffix(".json").write_text(json.dumps({"command": command, "rows": runs}, indent=1) + "\n")
    print(text)


def run(options, world):
    """Run the rows in a world, or on the config's data; return their mIoU by name and seed."""
    name, sets = load_experiment(options.config).name if world is None else f"world-{world}", []
    folder = Path("runs") / name
    if world is not None:
        data = Path("data") / name
        call("make_miniworld.py", "--out", data, "--seed", world)
        trees = {"source": "gta5", "target": "cityscapes", "val": "cityscapes"}
        sets = [word for which, tree in trees.items() for word in ("--set", f"data.{which}.root={data / tree}")]
    found = {}
    for number, own in ROWS.items():
        rows = own + COMPARED * (options.compare and number == 3)
        wanted = [word for row in rows if not options.rows or row in options.rows for word in ("--row", row)]
        if not wanted:
            continue
        settings = ["--config", options.config, "--seeds", ",".join(map(str, options.seeds)), "--run-dir", folder]
        settings += ["--set", "bookkeeping.eval_every=0"]  # scores on the way take time and change nothing
        more = ["--beyond", *["--compare"] * options.compare] if number == 3 else []
        out = folder / "worlds"
        call("reproduce.py", "--table", number, *more, *settings, *sets, "--jobs", 2, "--out", out, *wanted)
        table = Table.model_validate_json((out / f"table-{number}.json").read_text())
        found.update({row.row: row.by_seed("miou") for row in table.rows if row.row in rows and row.by_seed("miou")})
    return found


def call(tool, *arguments):
    subprocess.run([sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)], check=True)


def page(command, name, numbers):
    """Lay out the mean of each row, over all runs and in each world, and the differences."""
    places = sorted({place for of_row in numbers.values() for place in of_row}, key=str)
    worlds = list(dict.fromkeys(world for world, _ in places))
    worlds = [] if worlds == [None] else worlds
    header = ("row", f"mIoU, {len(places)} runs", *(f"world {n}" for n in worlds))
    rows = [
        (row, spread(of_row.values()), *(spread(of_world(of_row, world)) for world in worlds))
        for row, of_row in numbers.items()
    ]
    differences = [
        (text, *difference(numbers[first], numbers[second]))
        for text, (first, second) in DIFFERENCES.items()
        if first in numbers and second in numbers
    ]
    parts = [
        f"# {name}: rows over {'worlds and ' * bool(worlds)}seeds",
        f"```\n{command}\n```",
        "mIoU in percent on the val split: mean and sample standard deviation.",
        text_table(header, rows),
        "Differences, run by run: mean, standard error, whether beyond twice that, and in how many runs above 0.",
        text_table(("difference", "points", "beyond twice", "above 0"), differences),
    ]
    return "\n\n".join(parts) + "\n"


def of_world(of_row, world):
    return [value for (place, _), value in of_row.items() if place == world]


def spread(values):
    values = list(values)
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def difference(first, second):
    each = [value - second[place] for place, value in first.items() if place in second]
    mean = statistics.mean(each)
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.inf
    above = f"{sum(value > 0 for value in each)} of {len(each)}"
    return f"{mean:+.2f} ± {error:.2f}", "yes" if abs(mean) > 2 * error else "no", above


if __name__ == "__main__":
    main()
