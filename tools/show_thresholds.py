"""Draw how the thresholds of a run's proxies came about: distributions of the whole set, and one image."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, flag_path, open_run, run_tool
from gluon_madapt.errors import UserError


def main(arguments):
    parser = experiment_parser(
        __doc__,
        starts_from="checkpoint of the adversarial model",
        fresh="changes nothing here: nothing is made anew",
        rounds=True,
    )
    parser.add_argument("--cache", type=flag_path, metavar="DIR", help="the network pass (default: RUN/cache)")
    parser.add_argument("--image", type=int, default=0, metavar="N", help="the image to show, from 0 (default: 0)")
    parser.add_argument("--out", type=flag_path, metavar="FILE.png", help="(default: RUN/proxies/thresholds.png)")
    parsed = parser.parse_args(arguments)
    if parsed.out and parsed.out.suffix != ".png":
        raise UserError(f"--out {parsed.out}: expected a name that ends in .png")
    run = open_run(parsed)
    from gluon_madapt.report.threshold_figure import draw_thresholds

    drawn = draw_thresholds(run, parsed.cache, parsed.image, parsed.out)
    print(
        f"{100 * drawn.labelled:.2f}% of all pixels are proxies, where p1 p2 is {100 * drawn.expected:.2f}%; "
        f"{100 * drawn.moved:.2f}% of them are of another class than the likeliest\n{drawn.path}"
    )


if __name__ == "__main__":
    run_tool(main)
