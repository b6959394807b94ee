"""The command line: `spp-keras zoo | train`."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import spp_keras


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 2 wrong arguments or data, 75 another machine was lost (the same command
    goes on), 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="spp-keras", description="SPP-net in Keras: images of any size in, one vector out."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {spp_keras.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_zoo(commands)
    _add_train(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("spp-keras: interrupted; the same command goes on.", file=sys.stderr)
        return 130


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


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train",
        help="train a network as a recipe says, or go on where a run was killed",
        description="Trains a network as a recipe says. If the run was begun before, goes on "
        "where it was. Several GPUs share the work, and several machines that TF_CONFIG names.",
        epilog="examples:\n"
        "  spp-keras train zf5_spp/shapes\n"
        "  spp-keras train zoo/zf5_spp/recipe.toml --data voc/2007 --set epochs=3\n"
        "  spp-keras train zf5_spp --data photographs/ --set epochs=3 --set batch_size=32\n"
        "  spp-keras train zf5_spp --data imagenet2012 --data-dir /data --run runs/zf5_spp",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="recipe.toml, or the name of one in the zoo")
    parser.add_argument("--data", help="folder, or a data set of TensorFlow Datasets")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps its data sets")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value for a key of the recipe; can be given several times",
    )
    parser.add_argument(
        "--run", dest="folder", metavar="RUN", help="folder of the run (default: runs/RECIPE-DATA)"
    )
    parser.add_argument("--devices", type=int, help="GPUs to use, or parts of the CPU")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from spp_keras.zoo import recipes

    # Behind the others, so that what is asked for here has the last word.
    settings = options.set + [
        f"{key}={json.dumps(value)}"
        for key, value in (("data", options.data), ("data_dir", options.data_dir))
        if value is not None
    ]
    recipe = recipes.read(options.recipe, settings)
    folder = Path(options.folder or Path("runs") / _run_name(options.recipe, recipe.data))

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from spp_keras import training

    try:
        training.train(recipe, folder, devices=options.devices)
    except training.WorkerLost as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        sys.stderr.flush()
        # TensorFlow would wait for the lost machine until the end of time.
        os._exit(75)
    print(folder)
    return 0


def _run_name(recipe: str, data: str) -> str:
    """`zf5_spp-voc-2007` from `zoo/zf5_spp/recipe.toml` and `voc/2007`."""
    path = Path(recipe).with_suffix("")
    model = path.parent.name if path.name == "recipe" else path.name
    dataset = Path(data).name if Path(data).is_dir() else re.sub(r"\W+", "-", data)
    return f"{model}-{dataset}"


if __name__ == "__main__":
    sys.exit(main())
