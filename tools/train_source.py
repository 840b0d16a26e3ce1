"""Stage 1: train a segmenter on labelled source images."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, open_run, run_tool


def main(arguments):
    run = open_run(experiment_parser(__doc__, trains=True).parse_args(arguments))
    from gluon_madapt.stages import train_source

    train_source(run)


if __name__ == "__main__":
    run_tool(main)
