"""Write a page that shows a run: scores, pictures, proxies, curves, settings.  What is missing it names."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, add_set_flag, flag_path, run_tool
from gluon_madapt.errors import UserError


def parse(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument(
        "--run-dir",
        type=flag_path,
        required=True,
        metavar="DIR",
        help="the run folder, or one with seed-N folders in it",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the images to show: paths below the data set's images, or numbers from 0 (default: 4, spread evenly)",
    )
    parser.add_argument("--out", type=flag_path, metavar="FILE.html", help="the page (default: report.html in DIR)")
    parser.add_argument(
        "--config", type=flag_path, metavar="FILE", help="the experiment (default: as the run's last stage had it)"
    )
    add_set_flag(parser)
    options = parser.parse_args(arguments)
    if options.out and options.out.suffix != ".html":
        raise UserError(f"--out {options.out}: expected a name that ends in .html")
    return options


def main(arguments):
    options = parse(arguments)
    from gluon_madapt.report.page import report_of_folder

    print(report_of_folder(options.run_dir, options.out, options.images, options.overrides, options.config))


if __name__ == "__main__":
    run_tool(main)
