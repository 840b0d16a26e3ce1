"""Gives the command-line tools their flags, their logging, and errors of one line with an exit status."""

import argparse
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Callable, List, NoReturn, Sequence

from gluon_madapt.config import ConfigError, load_experiment
from gluon_madapt.config.paths import given_path
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.names import printable
from gluon_madapt.system import cuda, streams
from gluon_madapt.system.provenance import code_version
from gluon_madapt.system.stopping import StopSignals
from gluon_madapt.system.supported import MissingModuleError
from gluon_madapt.system.workers import is_one_of_several

streams.open_closed()  # before MXNet opens anything
# A tool draws into files. A notebook's name for what draws into its page, which is no part of this environment, is an
# error to Matplotlib.
os.environ.pop("MPLBACKEND", None)
try:
    cuda.refuse_missing_driver()
except UserError as missing:  # now: a tool's other imports bring in MXNet, whose own message is a traceback
    print(f"error: {missing}", file=sys.stderr)
    sys.exit(2)


class ToolParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        raise UserError(f"{message} (see {self.prog} --help)")


def experiment_parser(
    description: str,
    starts_from: str = "",
    fresh: str = "",
    default_configs: str = "",
    rounds: bool = False,
    trains: bool = False,
) -> ToolParser:
    """Return a parser with the flags that every stage has.

    Parameters
    ----------
    description : str
        What the tool does.
    starts_from : str
        What --from may name; without, there is no such flag.
    fresh : str
        What --fresh does, where that is not what it does to a stage.
    default_configs : str
        What stands in for --config, which may then be left out or name several files.
    rounds : bool
        Whether the tool is for any round of proxies.
    trains : bool
        Whether there is --tensorboard.
    """
    parser = ToolParser(description=description)
    if default_configs:
        several = f"experiments, in YAML (default: {default_configs})"
        parser.add_argument("--config", dest="configs", type=flag_path, nargs="+", metavar="FILE", help=several)
    else:
        parser.add_argument("--config", type=flag_path, required=True, metavar="FILE", help="the experiment, in YAML")
    add_set_flag(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="the seed, in place of the config's")
    parser.add_argument("--run-dir", type=flag_path, metavar="DIR", help="the run folder (default: runs/NAME)")
    parser.add_argument(
        "--fresh", action="store_true", help=fresh or "move what this stage left before aside and start over"
    )
    if rounds:
        parser.add_argument(
            "--round",
            type=positive,
            default=1,
            metavar="N",
            help="the round of proxies: a later one, in RUN/round-N, starts from what the round before has retrained; "
            "beyond the paper (default: 1)",
        )
    if starts_from:
        parser.add_argument(
            "--from", dest="start_from", type=flag_path, metavar="FILE", help=f"{starts_from} to start from"
        )
    if trains:
        parser.add_argument(
            "--tensorboard", action=_IfThere, help="write TensorBoard's event files, too, into RUN/STAGE/tensorboard"
        )
    return parser


class _IfThere(argparse.Action):
    """A flag that is refused where tensorboardX, an optional dependency, is missing."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(option_strings, dest, nargs=0, default=False, **options)

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            import tensorboardX  # noqa: F401, PLC0415
        except ImportError as error:
            why = "is not installed" if error.name == "tensorboardX" else f"cannot be imported ({error})"
            raise UserError(
                f"{option_string}: the package tensorboardX {why}: pip install -c constraints.txt -e '.[tensorboard]'"
            ) from None
        setattr(namespace, self.dest, True)


def add_set_flag(parser: ToolParser) -> None:
    """Give a parser the flag --set, which changes settings of an experiment."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting, as in --set source.iterations=100; may be given again",
    )


def flag_path(text: str) -> Path:
    """Parse a path; ~ is the home folder, and an empty text, which would be the current folder, is none."""
    try:
        return Path(given_path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def names(text: str) -> List[str]:
    """Parse names with commas between them, none of them empty."""
    words = [name.strip() for name in text.split(",")]
    if not all(words):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a name, or several with commas between them")
    return words


def positive(text: str) -> int:
    """Parse a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of 1 or more")
    return int(text)


def seed_list(text: str) -> List[int]:
    """Parse the value of --seeds: different numbers with commas between them."""
    words = text.split(",")
    seeds = [int(word) for word in words if word.isdecimal()]
    if len(set(seeds)) < len(words):
        raise argparse.ArgumentTypeError(f"{text}: expected different numbers with commas between them, as in 0,1,2")
    return seeds


def open_run(arguments: argparse.Namespace):
    """Load the experiment that the flags name; return its `gluon_madapt.stages.Run`."""
    experiment = load_experiment(arguments.config, arguments.overrides, arguments.seed)
    from gluon_madapt.stages import Run  # noqa: PLC0415 - MXNet takes seconds to import, a bad flag should not

    start_from, tensorboard = getattr(arguments, "start_from", None), getattr(arguments, "tensorboard", False)
    number = getattr(arguments, "round", 1)
    return Run(experiment, arguments.run_dir, start_from, arguments.fresh, arguments.config, number, tensorboard)


def run_tool(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a tool and exit: 0 when done, 2 with one line for what the user can mend, 1 for a failure that was found.

    SIGINT, SIGTERM and SIGHUP end it with 130, 143 and 129, after what it started has been stopped.
    """
    streams.protect()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(streams.LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    with StopSignals(_stop, _stop):
        code_version()  # before the checkout can change under a process that runs for days
        try:
            main(sys.argv[1:])
            status = 0
        except SystemExit as end:
            sys.exit(streams.status_after_printing(int(end.code or 0)))
        except KeyboardInterrupt:
            status = 130
        except Exception as error:
            status = _report(error)
        _end(streams.status_after_printing(status))


def _stop(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _report(error: Exception) -> int:
    """Say what has ended a tool, and return its exit status; raise what has no line to be said in."""
    if isinstance(error, (UserError, ConfigError, FailureError, MissingModuleError)):
        line = str(error)
    elif isinstance(error, OSError) and error.filename is not None:  # a name that is too long, a folder that is shut
        line = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8":
        line = f"{error.object}: cannot be a file's name where these are {error.encoding}: set PYTHONUTF8=1"
    elif is_one_of_several():
        traceback.print_exc()
        return 1
    else:
        raise error
    sys.stderr.write(f"error: {printable(line)}\n")  # at once: workers share the screen
    return 1 if isinstance(error, FailureError) else 2


def _end(status: int) -> NoReturn:
    if status and is_one_of_several():
        # MXNet's store waits at exit until all workers come to theirs, but those are waiting for this one.
        os._exit(status)
    sys.exit(status)
