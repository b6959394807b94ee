"""`spp-keras demo`."""

import argparse

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "demo",
        help="train, evaluate, export, predict and report in ten minutes",
        description="Draws images of mixed sizes, trains a small ZF-5 with a spatial pyramid on "
        "whole images and one without on images warped to squares, evaluates both, exports the "
        "first for TensorFlow Serving and as TFLite, predicts the same images with all of them "
        "and writes a report. Nothing is downloaded. A demo that was killed is resumed by the "
        "same command.",
        examples="  spp-keras demo\n  spp-keras demo --epochs 4 --output quick-look",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default="spp-keras-demo",
        help="folder for everything (default: spp-keras-demo)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=12,
        help="epochs of each training (default: 12, too few to tell which network is better)",
    )
    parser.add_argument("--data", default="shapes", help="data set to train on (default: shapes)")
    parser.set_defaults(run_command=_run_demo)


def _run_demo(options: argparse.Namespace) -> int:
    load_tensorflow()
    from spp_keras.demo import run_demo

    run_demo(options.output, data=options.data, epochs=options.epochs)
    return 0
