"""The command line: `spp-keras COMMAND`, with a module for each command."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import spp_keras
from spp_keras.cli import (
    _arguments,
    _errors,
    app,
    compare,
    completion,
    convert,
    demo,
    detect,
    evaluate,
    export,
    predict,
    report,
    sizes,
    train,
    train_detector,
    zoo,
)

# In the order in which a stranger needs them.
_COMMANDS = (
    zoo,
    demo,
    sizes,
    compare,
    train,
    evaluate,
    report,
    predict,
    app,
    export,
    convert,
    train_detector,
    detect,
    completion,
)

_EXIT_CODES = """exit codes:
  0     done
  2     wrong arguments or data, missing software, or a disk or memory too small;
        what to do about it is said on standard error
  75    another machine was lost; the same command goes on
  130   interrupted; the same command goes on
  141   whoever read the output has gone, as in `spp-keras zoo | head -1`
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; `spp-keras --help` lists the codes."""
    try:
        try:
            options = build_parser().parse_args(_understand_help(arguments))
            if not hasattr(options, "run_command"):
                build_parser().print_help()
                return 0
            return _run(options)
        finally:
            # While a reader that has gone can still be told from a failure.
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would try once more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each leaves the function that does it in `run_command`.

    The parser itself is in `parser`, for the command that completes the others.
    """
    parser = _Parser(
        prog="spp-keras",
        description="SPP-net in Keras: images of any size in, one vector out.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {spp_keras.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    parser.set_defaults(parser=parser)
    return parser


def _understand_help(arguments: Sequence[str] | None) -> list[str]:
    """`spp-keras help train` is `spp-keras train --help`, as of other programs."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return [*words[1:2], "--help"] if words[:1] == ["help"] else words


class _Parser(argparse.ArgumentParser):
    """A parser whose error about a missing run names the runs there are."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required") and "RUN" in message:
            message += f". {_arguments.describe_runs()}"
        super().error(message)


def _run(options: argparse.Namespace) -> int:
    try:
        return options.run_command(options)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print("spp-keras: interrupted; the same command goes on.", file=sys.stderr)
        return 130
    except Exception as error:
        message = _errors.describe_error(error, options)
        if message is None:
            raise
        print(f"spp-keras: {message}", file=sys.stderr)
        return 2
