"""The command line: `spp-keras COMMAND`, with a module for each command."""

import argparse
import sys
from collections.abc import Sequence

import spp_keras
from spp_keras.cli import (
    demo,
    detect,
    evaluate,
    export,
    predict,
    report,
    serve,
    train,
    train_detector,
    zoo,
)

# In the order in which a stranger needs them.
_COMMANDS = (
    zoo,
    demo,
    train,
    evaluate,
    report,
    predict,
    serve,
    export,
    train_detector,
    detect,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 2 wrong arguments or data, or a disk that does not do its part, 75 another
    machine was lost (the same command goes on), 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="spp-keras", description="SPP-net in Keras: images of any size in, one vector out."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {spp_keras.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("spp-keras: interrupted; the same command goes on.", file=sys.stderr)
        return 130
