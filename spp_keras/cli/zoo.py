"""`spp-keras zoo`."""

import argparse
import json

from spp_keras.cli._command import add_command


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "zoo",
        help="list the networks: parameters, FLOPs, step and map sizes",
        description="Lists the networks of the zoo, at full width and with 1000 classes.",
        examples="  spp-keras zoo\n  spp-keras zoo --json",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Imported here, like whatever else a command needs, so that --help is quick.
    from spp_keras.zoo import model_summary

    networks = model_summary.summarize_models()
    if options.json:
        print(json.dumps([network._asdict() for network in networks], indent=2))
        return 0
    print(
        f"{'name':<14} {'in the paper':<12} {'parameters':>12} {'GFLOPs at 224':>14} "
        f"{'step':>5} {'map at 180':>11} {'map at 224':>11}  image size"
    )
    for network in networks:
        sides = [f"{side}x{side}" for side in (network.map_180, network.map_224)]
        size = f"any from {network.min_size}" if network.pyramid else "the one it is built for"
        print(
            f"{network.name:<14} {network.title:<12} {network.parameters:>12,} "
            f"{network.flops / 1e9:>14.2f} {network.stride:>5} {sides[0]:>11} {sides[1]:>11}  {size}"
        )
    return 0
