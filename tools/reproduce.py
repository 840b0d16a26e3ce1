"""Reproduce a table of the paper: run what it needs, reuse what is there, and set the results beside the paper's."""

import shlex
import time
from pathlib import Path

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, flag_path, positive, run_tool, seed_list
from gluon_madapt.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def parse(arguments):
    parser = experiment_parser(
        __doc__,
        fresh="move aside what is there of all the stages that the table needs, and start over",
        default_configs="those of the paper's table, in configs/",
        trains=True,
    )
    parser.add_argument("--table", type=int, choices=(1, 2, 3, 4), required=True, help="of the paper")
    parser.add_argument(
        "--seeds", type=seed_list, metavar="N,N", help="train once with each, in RUN/seed-N; mean and deviation"
    )
    parser.add_argument(
        "--row",
        action="append",
        metavar="TEXT",
        help="run the row called TEXT, or else those with it in their names; may be given again",
    )
    parser.add_argument(
        "--beyond",
        action="store_true",
        help="add to table 3 what goes beyond the paper: AdaBN, more rounds of proxies",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="add to tables 1, 2 and 3 rows of other methods, measured on the same data, and what each row cost",
    )
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="commands side by side (default: 1)")
    parser.add_argument(
        "--out", type=flag_path, metavar="DIR", help="where the table goes (default: tables, in the run folder)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be run and how long it would take")
    options = parser.parse_args(arguments)
    if options.seeds and options.seed is not None:
        raise UserError("--seed and --seeds exclude each other: give one of them")
    return options


def main(arguments):
    options = parse(arguments)
    from gluon_madapt.report.page import REPORT, report_of_tables
    from gluon_madapt.reproduction.estimate import Estimate
    from gluon_madapt.reproduction.layout import markdown
    from gluon_madapt.reproduction.rows import CONFIGS
    from gluon_madapt.reproduction.table import Reproduction
    from gluon_madapt.reproduction.writing import write_table
    from gluon_madapt.runs.ownership import refuse_other_page

    configs = options.configs or [ROOT / "configs" / f"{name}.yaml" for name in CONFIGS[options.table]]
    reproduction = Reproduction(
        ROOT,
        options.table,
        configs,
        overrides=options.overrides,
        seeds=options.seeds,
        seed=options.seed,
        folder=options.run_dir,
        wanted=options.row,
        beyond=options.beyond,
        tensorboard=options.tensorboard,
        compare=options.compare,
    )
    command = shlex.join(["python", "tools/reproduce.py", *arguments])
    if options.dry_run:
        describe(reproduction, Estimate(), markdown(reproduction.results(command)))
        return
    if options.fresh:
        reproduction.start_over()
    in_the_way = reproduction.refused() or reproduction.missing()
    if in_the_way:
        raise UserError("; ".join(in_the_way))
    out = options.out or default_out(reproduction, options)
    refuse_other_page(out / REPORT)
    began = time.time()

    def write():
        return write_table(reproduction.results(command), out)

    def on_scored(row, score):
        seconds = round(time.time() - began)
        passed = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        write()
        print(f"[{passed}] {row:<50} {score}", flush=True)

    write()
    reproduction.run(options.jobs, on_scored)
    print(f"\n{write()}\nwritten to {out}")
    tables = sorted(out.glob("table-*.json"))
    print(f"to look at: {report_of_tables(reproduction, tables, out / REPORT, f'Tables in {out}')}")


def default_out(reproduction, options):
    """Return where the table goes: seeds of their own have tables of their own."""
    above = reproduction.folders[0] if len(reproduction.folders) == 1 else options.run_dir or Path("runs")
    tables = above / "tables"
    return tables if options.seeds is None else tables / f"seeds-{'-'.join(map(str, options.seeds))}"


def describe(reproduction, estimate, table):
    """Print the plan with its times, what is in the way or missing, and the table as it stands."""
    print(estimate.describe(reproduction.plans))
    for title, lines in (("in the way", reproduction.refused()), ("missing", reproduction.missing())):
        print("\n".join([f"\n{title}:", *(f"- {line}" for line in lines or ["nothing"])]))
    print(f"\n{table}", end="")


if __name__ == "__main__":
    run_tool(main)
