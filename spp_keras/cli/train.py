"""`spp-keras train`."""

import argparse
import json
import math
import os
import sys

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    from spp_keras.recipes import Recipe

    parser = add_command(
        commands,
        "train",
        help="train a network on images of your own or by a recipe, or resume a training",
        description="Trains a network. Without a recipe, it is chosen by the images of --data, "
        "printed with its reasons and kept in the run folder; every key of it can be given as a "
        "flag. A training that was begun before is resumed. Several GPUs share the work, and "
        "several machines that TF_CONFIG names. Prints the run folder.",
        examples="  spp-keras train --data photos/\n"
        "  spp-keras train MobileNetV3Small --data photos/\n"
        "  spp-keras train zf5_spp --data photos/ --epochs 3 --batch-size 16 "
        "--learning-rate 0.003\n"
        "  spp-keras train zf5_spp/shapes\n"
        "  spp-keras train zoo/zf5_spp/imagenet.toml --data voc/2007 --seed 1\n"
        "  spp-keras train zf5_spp/imagenet --data imagenet2012 --data-dir /data",
    )
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help="a TOML file, a recipe of the zoo, or a network (default: a recipe and a network "
        "that suit the images of --data)",
    )
    parser.add_argument(
        "--output", metavar="RUN", help="the run folder (default: runs/RECIPE-DATA)"
    )
    parser.add_argument("--devices", type=int, metavar="N", help="GPUs to use, or parts of the CPU")
    _arguments.add_json_flag(parser)
    _arguments.add_recipe_flags(parser, Recipe)
    parser.set_defaults(
        run_command=_train,
        memory_hint="--batch-size N sends fewer images at once; where images keep their own "
        "size, --longest-side N makes large ones smaller and --max-pixels N bounds a batch",
    )


def _train(options: argparse.Namespace) -> int:
    from spp_keras import recipes, runs

    overrides = _arguments.get_recipe_overrides(options, recipes.Recipe)
    # Checked before TensorFlow is loaded, which takes seconds.
    if runs.is_for_choice(options.recipe):
        runs.check_choice(options.recipe, overrides)
    else:
        recipes.read_recipe(options.recipe, task="classification", **overrides)

    load_tensorflow()
    from spp_keras.training import WorkerLost

    try:
        run = runs.train(options.recipe, options.output, devices=options.devices, **overrides)
    except WorkerLost as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        sys.stderr.flush()
        # TensorFlow would wait for the lost machine forever.
        os._exit(75)
    if options.json:
        # JSON has no NaN, which a loss may become.
        history = [
            {name: value if math.isfinite(value) else None for name, value in row.items()}
            for row in run.history
        ]
        print(json.dumps({"run": str(run.path), "history": history}))
    else:
        print(run.path)
    return 0
