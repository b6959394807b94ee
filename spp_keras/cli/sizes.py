"""`spp-keras sizes`."""

import argparse

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "sizes",
        help="say what images look like to a network, before training",
        description="Says what images look like to a network, before anything is trained on them: "
        "their sizes and shapes, what a square crop throws away of them and how far a square "
        "bends them, classes, damaged, turned and equal files, padding of batches; and the "
        "command to train, with the time that it takes on this machine. A folder that cannot be "
        "trained on is summarized, too.",
        examples="  spp-keras sizes photos/\n"
        "  spp-keras sizes photos/ --html sizes.html\n"
        "  spp-keras sizes photos/ --json\n"
        "  spp-keras sizes voc/2007 --data-dir /data",
    )
    parser.add_argument("data", metavar="DATA", help="image folder or name of a data set")
    parser.add_argument(
        "--data-dir", default="", metavar="DIR", help="where TensorFlow Datasets keeps its data"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with pictures to this file, too"
    )
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_show_sizes)


def _show_sizes(options: argparse.Namespace) -> int:
    if options.html is not None and not options.html.lower().endswith(".html"):
        raise ValueError(f"--html must be a file ending in .html. Received: {options.html}.")
    load_tensorflow()
    from spp_keras import image_summary

    summary = image_summary.summarize_images(options.data, options.data_dir or None)
    if options.html is not None:
        summary.write_html(options.html)
    print(summary.to_json() if options.json else summary.to_text())
    return 0
