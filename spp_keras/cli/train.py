"""`spp-keras train`."""

import argparse
import json
import math
import os
import re
import sys
from pathlib import Path

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "train",
        help="train a network as a recipe says, or go on where a run was killed",
        description="Trains a network as a recipe says. If the run was begun before, goes on "
        "where it was. Several GPUs share the work, and several machines that TF_CONFIG names.",
        examples="  spp-keras train zf5_spp/shapes\n"
        "  spp-keras train zoo/zf5_spp/recipe.toml --data voc/2007 --set epochs=3\n"
        "  spp-keras train zf5_spp --data photographs/ --set epochs=3 --set batch_size=32\n"
        "  spp-keras train zf5_spp --data imagenet2012 --data-dir /data --run runs/zf5_spp",
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
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(
        run=_run,
        less_memory="--set batch_size=N sends fewer images at once; where images keep their own "
        "size, --set longest_side=N makes large ones smaller and --set batch_pixels=N bounds a "
        "batch",
    )


def _run(options: argparse.Namespace) -> int:
    from spp_keras import recipes

    # Behind the others, so that what is asked for here has the last word.
    settings = options.set + [
        f"{key}={json.dumps(value)}"
        for key, value in (("data", options.data), ("data_dir", options.data_dir))
        if value is not None
    ]
    recipe = recipes.read_recipe(options.recipe, settings)
    folder = Path(options.folder or Path("runs") / _run_name(options.recipe, recipe.data))

    load_tensorflow()
    from spp_keras import training

    try:
        result = training.train_model(recipe, folder, devices=options.devices)
    except training.WorkerLost as error:
        print(f"spp-keras: {error}", file=sys.stderr)
        sys.stderr.flush()
        # TensorFlow would wait for the lost machine until the end of time.
        os._exit(75)
    if options.json:
        # JSON has no NaN, which a loss may become.
        history = [
            {name: value if math.isfinite(value) else None for name, value in row.items()}
            for row in result.history
        ]
        print(json.dumps({"run": str(folder), "history": history}))
    else:
        print(folder)
    return 0


def _run_name(recipe: str, data: str) -> str:
    """`zf5_spp-voc-2007` from `zoo/zf5_spp/recipe.toml` and `voc/2007`."""
    path = Path(recipe).with_suffix("")
    model = path.parent.name if path.name == "recipe" else path.name
    dataset = Path(data).name if Path(data).is_dir() else re.sub(r"\W+", "-", data)
    return f"{model}-{dataset}"
