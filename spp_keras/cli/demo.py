"""`spp-keras demo`."""

import argparse

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "demo",
        help="name photographs, fine-tune, compare, export and report in three minutes",
        description="Names photographs that other packages bring, whole, cropped and warped. "
        "Fine-tunes a network that comes with the package, and tests it beside "
        "those for cropped and warped images. Exports a model for TensorFlow Serving, asks it "
        "for photographs of several sizes in one request, and writes a report. Nothing is "
        "downloaded. A demo that was interrupted is resumed by the same command.",
        examples="  spp-keras demo\n  spp-keras demo --epochs 5 --output long-look",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default="spp-keras-demo",
        help="folder for everything (default: spp-keras-demo)",
    )
    parser.add_argument("--epochs", type=int, default=2, help="epochs of the training (default: 2)")
    parser.set_defaults(run_command=_run_demo)


def _run_demo(options: argparse.Namespace) -> int:
    load_tensorflow()
    from spp_keras.demo import run_demo

    run_demo(options.output, epochs=options.epochs)
    return 0
