"""`spp-keras zoo`."""

import argparse
import json

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "zoo",
        help="list the networks and recipes, or show a model card",
        description="Lists the networks of the zoo, at full width and with 1000 classes, and the "
        "recipes. With a NAME, shows the model card of that network.",
        examples="  spp-keras zoo\n  spp-keras zoo zf5_spp\n  spp-keras zoo --json",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a network, whose card is shown")
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_show_zoo)


def _show_zoo(options: argparse.Namespace) -> int:
    # Imported here, like whatever else a command needs, so that --help is quick.
    from spp_keras import recipes
    from spp_keras.zoo import model_summary

    if options.name is not None:
        print(recipes.read_card(options.name))
        return 0
    networks = model_summary.summarize_models()
    if options.json:
        print(json.dumps([network._asdict() for network in networks], indent=2))
        return 0
    print(
        f"{'name':<18} {'in its paper':<18} {'parameters':>11} {'GFLOPs at 224':>13} "
        f"{'stride':>6} {'map at 180':>10} {'map at 224':>10}  {'image size':<22}  weights"
    )
    for network in networks:
        maps = [f"{side}x{side}" for side in (network.map_180, network.map_224)]
        size = f"any from {network.min_size}" if network.pyramid else "the one it is built for"
        print(
            f"{network.name:<18} {network.title:<18} {network.parameters:>11,} "
            f"{network.flops / 1e9:>13.2f} {network.stride:>6} {maps[0]:>10} {maps[1]:>10}  "
            f"{size:<22}  {network.weights or ''}".rstrip()
        )
    return 0
