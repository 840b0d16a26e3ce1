"""Stage 3: proxy labels for the target images."""

import argparse

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, flag_path, open_run, run_tool
from gluon_madapt.precision import PRECISIONS


def shard(text):
    """Parse I/N, part I of N."""
    words = text.split("/")
    if len(words) == 2 and all(word.isdecimal() for word in words) and 1 <= int(words[0]) <= int(words[1]):
        return int(words[0]), int(words[1])
    raise argparse.ArgumentTypeError(f"{text}: expected I/N with I from 1 to N, as in 1/4")


def shares(text):
    """Parse P1,P2."""
    try:
        p1, p2 = map(float, text.split(","))
    except ValueError:
        p1 = p2 = 0.0
    if not (0 < p1 <= 1 and 0 < p2 <= 1):
        raise argparse.ArgumentTypeError(f"{text}: expected P1,P2, both above 0 and at most 1, as in 0.6,0.8")
    return p1, p2


def main(arguments):
    starts_from = "checkpoint of an adversarial model, or where proxies.model is trained, of the model that labels,"
    parser = experiment_parser(__doc__, starts_from=starts_from, rounds=True)
    parser.add_argument("--p1", metavar="X", help="share of all pixels kept by adversarial confidence")
    parser.add_argument("--p2", metavar="Y", help="share of each class's remaining pixels kept by its probability")
    parser.add_argument(
        "--also",
        type=shares,
        nargs="+",
        default=[],
        metavar="X,Y",
        help="make labels of these p1 and p2, too, each in RUN/p1_X_p2_Y; they share the work",
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="run the networks over part I of N of the images, and make no labels; then run without, to make them",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="compare proxies, and what each criterion drops, with the target's labels (not read otherwise)",
    )
    parser.add_argument(
        "--cache", type=flag_path, metavar="DIR", help="the network pass, to be shared by settings (default: RUN/cache)"
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="of the segmenter (default: proxies.precision)")
    parsed = parser.parse_args(arguments)
    parsed.overrides += [
        f"proxies.{key}={value}" for key in ("p1", "p2", "precision") if (value := getattr(parsed, key)) is not None
    ]
    run = open_run(parsed)
    from gluon_madapt.proxies import Shares
    from gluon_madapt.proxy_maps.cache import Shard
    from gluon_madapt.stages import make_proxies

    part = Shard(*parsed.shard) if parsed.shard else None
    make_proxies(run, parsed.cache, part, parsed.audit, [Shares(*pair) for pair in parsed.also])


if __name__ == "__main__":
    run_tool(main)
