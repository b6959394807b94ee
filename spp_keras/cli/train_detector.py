"""`spp-keras train-detector`."""

import argparse
import json
import sys

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    from spp_keras.recipes import DetectorRecipe

    parser = add_command(
        commands,
        "train-detector",
        help="train a detector on the convolutions of a run, or resume a training",
        description="Trains a detector: the convolutions of a trained network stay fixed, their "
        "feature maps are kept on disk, and a head that scores RoIs is fine-tuned. Leaves "
        "detector.keras and, of the validation images, metrics.json. A training that was begun "
        "before is resumed.",
        examples="  spp-keras train-detector runs/zf5_spp-shapes --recipe zf5_spp/shapes_detector\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/ --head svm "
        "--scales 480,576,688,864,1200\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/ --proposals edge_boxes.jsonl",
    )
    parser.add_argument("run", metavar="RUN", help="run folder of a network with a pyramid")
    parser.add_argument(
        "--recipe", metavar="RECIPE", help="a TOML file, or a recipe of the zoo for detectors"
    )
    parser.add_argument(
        "--output", metavar="RUN", help="the detector's run folder (default: RUN-detector)"
    )
    parser.add_argument(
        "--feature-cache",
        metavar="DIR",
        help="folder for the feature maps, which trainings may share (default: in the output)",
    )
    _arguments.add_json_flag(parser)
    _arguments.add_recipe_flags(parser, DetectorRecipe)
    parser.set_defaults(
        run_command=_train_detector,
        memory_hint="--scales with smaller numbers makes smaller feature maps",
    )


def _train_detector(options: argparse.Namespace) -> int:
    from spp_keras import recipes, runs

    overrides = _arguments.get_recipe_overrides(options, recipes.DetectorRecipe)
    run = _arguments.choose_run(options.run)
    load_tensorflow()
    detector = runs.train_detector(
        run,
        options.output,
        recipe=options.recipe,
        feature_cache=options.feature_cache,
        **overrides,
    )
    metrics = detector.metrics
    for name in metrics["untrained"]:
        print(
            f"spp-keras: no object of {name!r} in the training images; it is never detected",
            file=sys.stderr,
        )
    if options.json:
        print(json.dumps({"run": str(detector.path), **metrics}))
    else:
        print(f"{detector.path}\tmAP {100 * metrics['voc_area']['mean']:.1f}%")
    return 0
