"""Look at everything that a run needs, before days are spent on it: data, weights, device, memory, disk, packages."""

import sys

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, open_run, run_tool
from gluon_madapt.system.streams import is_read


def main(arguments):
    parser = experiment_parser(__doc__, fresh="changes nothing here")
    parser.add_argument(
        "--full", action="store_true", help="read every image and label (an hour for GTA5), not a sample of each set"
    )
    parsed = parser.parse_args(arguments)
    from gluon_madapt.doctor import ERROR, WARNING, examine

    levels = []
    for finding in examine(open_run(parsed), parsed.full):
        print(finding, flush=True)
        levels.append(finding.level)
        if not is_read():  # as after head: to look at the rest would be of no use
            break
    errors, warnings = levels.count(ERROR), levels.count(WARNING)
    print(f"{errors} errors, {warnings} warnings")
    if errors:
        sys.exit(1)


if __name__ == "__main__":
    run_tool(main)
