"""The command line: `spp-keras zoo`."""

import argparse
import json
import sys
from collections.abc import Sequence

import spp_keras


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="spp-keras", description="SPP-net in Keras: images of any size in, one vector out."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {spp_keras.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_zoo(commands)
    options = parser.parse_args(arguments)
    return options.run(options)


def _add_zoo(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "zoo",
        help="list the networks: parameters, FLOPs, step and map sizes",
        description="Lists the networks of the zoo, at full width and with 1000 classes.",
        epilog="examples:\n  spp-keras zoo\n  spp-keras zoo --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(run=_zoo)


def _zoo(options: argparse.Namespace) -> int:
    # Imported here, like whatever else a command needs, so that --help is quick.
    from spp_keras.zoo import summary

    networks = summary.summaries()
    if options.json:
        print(json.dumps([network._asdict() for network in networks], indent=2))
        return 0
    print(
        f"{'name':<14} {'in the paper':<12} {'parameters':>12} {'GFLOPs at 224':>14} "
        f"{'step':>5} {'map at 180':>11} {'map at 224':>11}  image size"
    )
    for network in networks:
        sides = [f"{side}x{side}" for side in (network.map_180, network.map_224)]
        size = f"any from {network.least_size}" if network.pyramid else "the one it is built for"
        print(
            f"{network.name:<14} {network.title:<12} {network.parameters:>12,} "
            f"{network.flops / 1e9:>14.2f} {network.step:>5} {sides[0]:>11} {sides[1]:>11}  {size}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
