"""`spp-keras evaluate`."""

import argparse
import json

from spp_keras.cli._command import add_command, load_tensorflow

# Those of `spp_keras.evaluation`, which takes seconds to load, and what stands beside them.
PROTOCOLS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full", "svm")
# What options of `--protocol svm` alone are called, the layer first.
_OF_MACHINES = ("layer", "short_side", "train_split", "per_class")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "evaluate",
        help="measure trained networks by the paper's testing protocols, alone and together",
        description="Measures trained networks by the paper's testing protocols: crop, 10-view, "
        "10-view-map (the ten pooled from the maps of the image), full, 96-view (six scales, from "
        "maps) and 96-view+full; and by warp, the image squeezed into a square. Of several runs "
        "the scores are averaged, too; one network is loaded at a time. Prints a table and leaves "
        "evaluation.json. With svm, which stands alone, support vector machines learn other data "
        "from the features of layers: of one "
        "split to be tested on another where images have several classes (VOC), else of draws "
        "from both (Caltech101); leaves svm.json. If it was killed, the same command goes on "
        "where it was.",
        examples="  spp-keras evaluate runs/zf5_spp-shapes --protocol full\n"
        "  spp-keras evaluate runs/zf5_spp --protocol 10-view --protocol 96-view+full "
        "--data imagenet2012\n"
        "  spp-keras evaluate runs/one runs/two runs/three --protocol 96-view --to ensemble\n"
        "  spp-keras evaluate runs/zf5_spp --protocol svm --layer spp --layer fc7 "
        "--data caltech101 --short-side 224\n"
        "  spp-keras evaluate runs/zf5_spp --protocol svm --layer fc7 --data VOCdevkit/ "
        "--train-split trainval --split test --side 224",
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
        "learned from; must be given if it learned from images of their own sizes); with svm, of "
        "the square in the middle that is seen (default: whole images)",
    )
    parser.add_argument(
        "--to",
        metavar="FOLDER",
        help="for evaluation.json or svm.json, and what is kept of all images (default: "
        "RUN/evaluation)",
    )
    parser.add_argument("--json", action="store_true", help="print what is in that file")
    machines = parser.add_argument_group("with --protocol svm")
    machines.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="layer, such as conv5, spp or fc7, or a level of the pyramid, spp/6x6; may be given "
        "several times",
    )
    machines.add_argument(
        "--short-side",
        type=int,
        metavar="N",
        help="short side that images are brought to (default: --side, or that of the training)",
    )
    machines.add_argument("--train-split", help="split to learn from (default: train)")
    machines.add_argument(
        "--per-class",
        type=_two_integers,
        metavar="N,N",
        help="where images have one class: how many of each to learn from, and to test on at most "
        "(default: 30,50)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    _check(options)
    load_tensorflow()
    from spp_keras import evaluation

    names = ("data", "data_dir", "split", "side", "to")
    given = {name: getattr(options, name) for name in names}
    if options.protocols == ["svm"]:
        more = {name: getattr(options, name) for name in _OF_MACHINES[1:]}
        given |= {name: value for name, value in more.items() if value is not None}
        result = evaluation.evaluate_features(options.runs[0], options.layer, **given)
        table = evaluation.format_feature_results
    else:
        result = evaluation.evaluate(options.runs, options.protocols, **given)
        table = evaluation.format_results
    print(json.dumps(result) if options.json else table(result["rows"]))
    return 0


def _check(options: argparse.Namespace) -> None:
    """That options go together."""
    if "svm" in options.protocols:
        if options.protocols != ["svm"]:
            raise ValueError(
                "--protocol svm stands alone, since it measures layers and not scores. "
                f"Received: {' and '.join(options.protocols)}."
            )
        if len(options.runs) > 1:
            raise ValueError(f"--protocol svm takes one run. Received: {len(options.runs)}.")
        if not options.layer:
            raise ValueError("--protocol svm needs a --layer, such as fc7. Received: none.")
    for name in _OF_MACHINES:
        if "svm" not in options.protocols and getattr(options, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} is for --protocol svm. "
                f"Received: --protocol {' --protocol '.join(options.protocols)}."
            )


def _two_integers(text: str) -> tuple[int, int]:
    try:
        learn, test = (int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be two whole numbers with a comma between, not {text!r}"
        ) from error
    return learn, test
