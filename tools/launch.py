"""Train on several processes or machines: launch.py -n 2 -- python tools/train_adv.py --config FILE ..."""

import argparse
import shutil
import sys

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, names, positive, run_tool
from gluon_madapt.cli.launcher import launch
from gluon_madapt.errors import UserError


def main(arguments):
    parser = ToolParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--workers", type=positive, required=True, metavar="N", help="number of workers")
    parser.add_argument(
        "-s", "--servers", type=positive, default=1, metavar="N", help="number of servers, which sum gradients"
    )
    parser.add_argument(
        "--hosts",
        type=names,
        default=[],
        metavar="A,B",
        help="machines to run the workers on, by ssh without a password, in a folder that all of them share "
        "(default: this machine)",
    )
    parser.add_argument("--port", type=int, default=0, help="where the scheduler listens (default: any free port)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and what each worker runs")
    parsed = parser.parse_args(arguments)
    command = parsed.command[1:] if parsed.command[:1] == ["--"] else parsed.command
    if not command:
        raise UserError("no command: expected -- and what each worker is to run, as in -- python tools/train_adv.py")
    if not parsed.hosts and not shutil.which(command[0]):
        raise UserError(f"{command[0]}: no such program: expected one that each worker is to run")
    sys.exit(launch(command, parsed.workers, parsed.servers, parsed.hosts, parsed.port))


if __name__ == "__main__":
    run_tool(main)
