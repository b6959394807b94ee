"""`spp-keras evaluate`."""

import argparse
import json

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow

# Those of `spp_keras.evaluation`, which takes seconds to load, and SVMs on features.
PROTOCOLS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full", "svm")
# Flags that are for `--protocol svm` alone, the layer first.
_SVM_OPTIONS = ("layers", "short_side", "train_split", "per_class")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "evaluate",
        help="evaluate trained networks by the paper's testing protocols",
        description="Evaluates trained networks by the paper's testing protocols: crop, 10-view, "
        "10-view-map (the ten views pooled from the feature maps of the image), full, 96-view "
        "(six scales, from feature maps) and 96-view+full; and by warp, the image warped to a "
        "square. Of several runs the mean of their scores is evaluated, too. Prints a table and "
        "writes evaluation.json. The protocol svm trains linear SVMs on the features of layers, on "
        "other data: trained on one split and tested on another where images have several classes "
        "(VOC), on random draws of both otherwise (Caltech101); it writes svm.json. An evaluation "
        "that was killed is resumed by the same command.",
        examples="  spp-keras evaluate runs/zf5_spp-shapes\n"
        "  spp-keras evaluate runs/zf5_spp --protocol 10-view --protocol 96-view+full "
        "--data imagenet2012\n"
        "  spp-keras evaluate runs/a runs/b runs/c --protocol 96-view --output ensemble\n"
        "  spp-keras evaluate runs/zf5_spp --protocol svm --layer spp --layer fc7 "
        "--data caltech101 --short-side 224\n"
        "  spp-keras evaluate runs/zf5_spp --protocol svm --layer fc7 --data VOCdevkit/ "
        "--train-split trainval --split test --view-size 224",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument(
        "--protocol",
        action="append",
        default=[],
        dest="protocols",
        metavar="NAME",
        help="testing protocol; may be given several times (default: the single view that suits "
        "the training: full, warp or crop)",
    )
    _arguments.add_data_flags(parser, "that of the first run")
    parser.add_argument(
        "--view-size",
        type=int,
        metavar="N",
        help="size of the square views, all scales in proportion (default: the crop size of the "
        "training; needed if images kept their own sizes); with svm, size of the center crop "
        "(default: whole images)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder for the results and the cached scores (default: RUN/evaluation)",
    )
    _arguments.add_json_flag(parser)
    svm = parser.add_argument_group("with --protocol svm")
    svm.add_argument(
        "--layer",
        action="append",
        dest="layers",
        metavar="NAME",
        help="layer, such as conv5, spp or fc7, or a level of the pyramid, spp/6x6; may be given "
        "several times",
    )
    svm.add_argument(
        "--short-side",
        type=int,
        metavar="N",
        help="short side that images are scaled to (default: --view-size, or that of the training)",
    )
    svm.add_argument("--train-split", help="split to train on (default: train)")
    svm.add_argument(
        "--per-class",
        type=_parse_pair,
        metavar="N,N",
        help="where images have one class: training images and, at most, test images of each "
        "(default: 30,50)",
    )
    parser.set_defaults(run_command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    runs = [_arguments.choose_run(run) for run in options.runs]
    _check(options)
    load_tensorflow()
    from spp_keras import evaluation

    names = ("data", "data_dir", "split", "view_size", "output")
    arguments = {name: getattr(options, name) for name in names}
    if options.protocols == ["svm"]:
        svm_arguments = {name: getattr(options, name) for name in _SVM_OPTIONS[1:]}
        per_class = svm_arguments.pop("per_class")
        if per_class is not None:
            arguments["svm"] = evaluation.SVMOptions(per_class=per_class)
        arguments |= {name: value for name, value in svm_arguments.items() if value is not None}
        if "per_class" in arguments:
            arguments["svm"] = evaluation.SVMOptions(per_class=arguments.pop("per_class"))
        results = evaluation.evaluate_features(runs[0], options.layers, **arguments)
        table = evaluation.format_feature_results
    else:
        results = evaluation.evaluate(runs, options.protocols or None, **arguments)
        table = evaluation.format_results
    print(json.dumps(results) if options.json else table(results["rows"]))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises where options do not go together."""
    if "svm" in options.protocols:
        if options.protocols != ["svm"]:
            raise ValueError(
                "--protocol svm stands alone, since it evaluates features and not scores. "
                f"Received: {' and '.join(options.protocols)}."
            )
        if len(options.runs) > 1:
            raise ValueError(f"--protocol svm takes one run. Received: {len(options.runs)}.")
        if not options.layers:
            raise ValueError("--protocol svm needs a --layer, such as fc7. Received: none.")
    for name in _SVM_OPTIONS:
        if "svm" not in options.protocols and getattr(options, name) is not None:
            flag = {"layers": "layer"}.get(name, name.replace("_", "-"))
            raise ValueError(
                f"--{flag} is for --protocol svm. "
                f"Received: --protocol {' --protocol '.join(options.protocols) or 'none'}."
            )


def _parse_pair(text: str) -> tuple[int, int]:
    try:
        train, test = (int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be two whole numbers with a comma between, not {text!r}"
        ) from error
    return train, test
