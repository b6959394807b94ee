"""`spp-keras evaluate`."""

import argparse
import json
import os

from spp_keras.cli._command import command


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = command(
        commands,
        "evaluate",
        help="measure trained networks by the paper's testing protocols, alone and together",
        description="Measures trained networks by the paper's testing protocols: crop, 10-view, "
        "10-view-map (the ten pooled from the maps of the image), full, 96-view (six scales, from "
        "maps) and 96-view+full. Of several runs the scores are averaged, too; one network is "
        "loaded at a time. Prints a table and leaves evaluation.json. If it was killed, the same "
        "command goes on where it was.",
        examples="  spp-keras evaluate runs/zf5_spp-shapes --protocol full\n"
        "  spp-keras evaluate runs/zf5_spp --protocol 10-view --protocol 96-view+full "
        "--data imagenet2012\n"
        "  spp-keras evaluate runs/one runs/two runs/three --protocol 96-view --to ensemble",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument(
        "--protocol",
        action="append",
        required=True,
        dest="protocols",
        metavar="NAME",
        help="how to look at an image; may be given several times",
    )
    parser.add_argument(
        "--data", default="", help="folder or data set (default: what the first run learned from)"
    )
    parser.add_argument("--data-dir", default="", help="where TensorFlow Datasets keeps its data")
    parser.add_argument("--split", default="", help="split to measure on (default: validation)")
    parser.add_argument(
        "--side",
        type=int,
        help="side of the views, all scales in proportion (default: of the crops that a run "
        "learned from; must be given if it learned from images of their own sizes)",
    )
    parser.add_argument(
        "--to",
        metavar="FOLDER",
        help="for evaluation.json and the scores of all images (default: RUN/evaluation)",
    )
    parser.add_argument("--json", action="store_true", help="print what is in evaluation.json")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from spp_keras import evaluation

    try:
        result = evaluation.evaluate(
            options.runs,
            options.protocols,
            data=options.data,
            data_dir=options.data_dir,
            split=options.split,
            side=options.side,
            to=options.to,
        )
    except ImportError as error:
        raise ValueError(str(error)) from error
    print(json.dumps(result) if options.json else evaluation.table(result["rows"]))
    return 0
