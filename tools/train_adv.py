"""Stage 2: adversarial training of the source model on source and target images."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, open_run, run_tool


def main(arguments):
    parser = experiment_parser(__doc__, starts_from="checkpoint of a source model", rounds=True, trains=True)
    run = open_run(parser.parse_args(arguments))
    from gluon_madapt.stages import train_adversarial

    train_adversarial(run)


if __name__ == "__main__":
    run_tool(main)
