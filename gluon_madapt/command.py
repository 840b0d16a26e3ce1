"""What the command-line tools share: flags, logging, and errors as one line with an exit status."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Callable, NoReturn, Sequence

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.stages import Run
from gluon_madapt.stages.jobs import JobError
from gluon_madapt.stages.loop import NotFiniteError


def experiment_parser(description: str, starts_from: str = "") -> argparse.ArgumentParser:
    """Return a parser with the flags that every stage has; ``starts_from`` says what --from may replace."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the experiment, in YAML")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting, as in --set source.iterations=100; may be given again",
    )
    parser.add_argument("--seed", type=int, help="the seed, in place of the config's")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="the run folder (default: runs/NAME)")
    parser.add_argument("--fresh", action="store_true", help="move what this stage left before aside and start over")
    if starts_from:
        parser.add_argument("--from", dest="start_from", type=Path, metavar="FILE", help=f"{starts_from} to start from")
    return parser


def open_run(arguments: argparse.Namespace) -> Run:
    """Load the experiment that the flags name, and open its run folder."""
    experiment = load_experiment(arguments.config, arguments.overrides, arguments.seed)
    return Run(experiment, arguments.run_dir, getattr(arguments, "start_from", None), arguments.fresh)


def run_tool(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a tool and exit: 0 when done, 2 with one line for what the user can mend, 1 for a failure that was found."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    try:
        main(sys.argv[1:])
    except (UserError, ConfigError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.status if error.status in (1, 2) else 1)
    except NotFiniteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)
