"""Stage 4: train a segmenter on target images and their proxy labels."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, open_run, run_tool


def main(arguments):
    starts_from = "checkpoint of the source model, for retrain.init = source, or in a later round of any model,"
    parser = experiment_parser(__doc__, starts_from=starts_from, rounds=True, trains=True)
    run = open_run(parser.parse_args(arguments))
    from gluon_madapt.stages import retrain

    retrain(run)


if __name__ == "__main__":
    run_tool(main)
