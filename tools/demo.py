"""Run the whole method on the mini world: Table 3's rows, a page to look at, and one last line with the gain."""

import json
import shlex
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, run_tool, seed_list
from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.formats import over_fewer

ROOT = Path(__file__).resolve().parent.parent


def parse(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument("--config", type=flag_path, default=ROOT / "configs" / "mini" / "gta5.yaml", metavar="FILE")
    parser.add_argument("--seeds", type=seed_list, default=[1], metavar="N,N", help="train once with each (default: 1)")
    parser.add_argument("--data", type=flag_path, default=Path("data/mini"), metavar="DIR", help="the mini world")
    parser.add_argument(
        "--world",
        type=counts,
        default=[300, 300, 300, 60],
        metavar="N,N,N,N",
        help="its GTA5, SYNTHIA, Cityscapes train and val images (default: 300,300,300,60)",
    )
    parser.add_argument("--run-dir", type=flag_path, default=Path("runs/demo"), metavar="DIR")
    parser.add_argument("--fresh", action="store_true", help="train anew what was trained before")
    return parser.parse_args(arguments)


def counts(text):
    """Parse four numbers with commas between them."""
    numbers = [int(word) for word in text.split(",")]
    if len(numbers) != 4 or min(numbers) < 0:  # noqa: PLR2004 - four splits
        raise ValueError
    return numbers


def main(arguments):
    options = parse(arguments)
    from gluon_madapt.miniworld import make_miniworld, refuse_another
    from gluon_madapt.report.page import REPORT, report_of_tables
    from gluon_madapt.reproduction.rows import ADABN, ADAPTED, CONTROL, CONTROL_PROXIES, ONE, SOURCE_ONLY, rows_of
    from gluon_madapt.reproduction.table import Reproduction
    from gluon_madapt.reproduction.writing import write_table

    began = time.time()
    numbers = dict(zip(("gta5", "synthia", "train", "val"), options.world))
    refuse_another(options.data, 1, **numbers)
    if make_miniworld(options.data, 1, **dict(numbers, synthia=0)):
        say(began, f"drew the mini world: {options.data}")
    overrides = roots(options)
    # A first look can do without these; each of the trainings behind them would take a fifth of the time.
    left_out = (f"{CONTROL}, {ADABN}", CONTROL_PROXIES, f"{CONTROL_PROXIES}, {ADABN}", ONE, f"{ONE}, proxies")
    rows = [row.text for row in rows_of(3, load_experiment(options.config, overrides)) if row.text not in left_out]
    where = {"overrides": overrides, "seeds": options.seeds, "folder": options.run_dir}
    reproduction = Reproduction(ROOT, 3, [options.config], wanted=rows, **where)
    if options.fresh:
        reproduction.start_over()
    in_the_way = reproduction.refused()
    if in_the_way:
        raise UserError("; ".join(in_the_way))
    with drawing_the_rest(options.data, numbers):
        reproduction.run(2, lambda row, score: say(began, f"{row:<50} {score}"))
    command = shlex.join(["python", "tools/demo.py", *arguments])
    table = reproduction.results(command)
    text = write_table(table, options.run_dir / "tables")
    tables = [options.run_dir / "tables" / "table-3.json"]
    page = report_of_tables(reproduction, tables, options.run_dir / REPORT, "The demo on the mini world")
    print(f"\n{text}\nto look at: {page}\nruns: {options.run_dir}")
    source, adapted = (next(row for row in table.rows if row.row == name) for name in (SOURCE_ONLY, ADAPTED))
    before, after = (statistics.mean(row.values("miou")) for row in (source, adapted))
    over = over_fewer(scores.iou for row in (source, adapted) for scores in row.scores)
    gain = f"source-only {before:.1f} mIoU -> adapted {after:.1f} mIoU (gain {after - before:.1f}{over and ','}{over})"
    print(f"demo: {gain} in {time.time() - began:.0f} s")


@contextmanager
def drawing_the_rest(data, numbers):
    """Draw SYNTHIA's tree, which nothing here needs, while the first training leaves a core to others."""
    words = [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
    command = [sys.executable, str(ROOT / "tools" / "make_miniworld.py"), "--out", str(data), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        print(f"SYNTHIA's tree was not drawn: {shlex.join(command[1:])} does it")


def roots(options):
    """Return the overrides that point the config's datasets at the mini world."""
    data = load_experiment(options.config).data
    trees = {"source": data.source, "target": data.target, "val": data.val}
    return [f"data.{which}.root={json.dumps(str(options.data / tree.dataset))}" for which, tree in trees.items()]


def say(began, text):
    seconds = round(time.time() - began)
    print(f"[{seconds // 60:2d}:{seconds % 60:02d}] {text}", flush=True)


if __name__ == "__main__":
    run_tool(main)
