"""`spp-keras demo`."""

import argparse

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "demo",
        help="train, test, export, ask and report, all in minutes",
        description="Draws photographs of mixed sizes, trains a small ZF-5 with a pyramid on them "
        "at their own sizes and one without on squares, tests both, exports the first for "
        "TensorFlow Serving and for TFLite, asks all about the same photographs and writes a "
        "report, which says whether the two had stopped learning. Nothing is downloaded. If it was "
        "killed, the same command goes on where it was.",
        examples="  spp-keras demo\n  spp-keras demo --epochs 4 quick-look",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        default="spp-keras-demo",
        help="for everything (default: spp-keras-demo)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=12,
        help="of each training (default: 12, too few to tell which of the two is better)",
    )
    parser.add_argument("--data", default="shapes", help="data set to learn from (default: shapes)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    load_tensorflow()
    from spp_keras.demo import run_demo

    run_demo(options.folder, data=options.data, epochs=options.epochs)
    return 0
