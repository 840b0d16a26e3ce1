"""Stage 3: proxy labels for the target images."""

from pathlib import Path

from gluon_madapt.command import experiment_parser, open_run, run_tool
from gluon_madapt.stages import make_proxies


def main(arguments):
    parser = experiment_parser(__doc__, starts_from="checkpoint of an adversarial model")
    parser.add_argument("--p1", metavar="X", help="share of all pixels kept by adversarial confidence")
    parser.add_argument("--p2", metavar="Y", help="share of each class's remaining pixels kept by its probability")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="the network pass, to be shared by settings (default: RUN/cache)"
    )
    parsed = parser.parse_args(arguments)
    parsed.overrides += [f"proxies.{key}={value}" for key in ("p1", "p2") if (value := getattr(parsed, key))]
    make_proxies(open_run(parsed), parsed.cache)


if __name__ == "__main__":
    run_tool(main)
