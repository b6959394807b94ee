"""`spp-keras compare`."""

import argparse
import json
from pathlib import Path

from spp_keras import _files
from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow

_FORMATS = (".json", ".md")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "compare",
        help="compare whole, cropped and warped images on data of your own",
        description="Answers whether images of a folder are classified better whole, cropped, or "
        "warped to squares: with one frozen trunk, as many pixels in each form, and a classifier "
        "trained for each form and seed. Prints a table with 95% intervals and a sentence. Images "
        "without a test split are split anew for each seed. A comparison that was killed is "
        "resumed by the same command.",
        examples="  spp-keras compare photos/\n"
        "  spp-keras compare photos/ --seeds 10 --output comparison.md\n"
        "  spp-keras compare photos/ --network efficientnet_lite1 --short-side 224 --json\n"
        "  spp-keras compare photos/ --network MobileNetV2 --output comparison.json",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder with a folder per class, or another data set with one class an image",
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="where TensorFlow Datasets keeps its data"
    )
    parser.add_argument(
        "--train-split", metavar="NAME", help="split to train on, together with --test-split"
    )
    parser.add_argument(
        "--test-split",
        metavar="NAME",
        help="split to test on (default: test or validation; where there is neither, a quarter of "
        "each class, another for each seed)",
    )
    parser.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="number of seeds, at least 3 (default: 5)"
    )
    parser.add_argument(
        "--network",
        default="efficientnet_lite0",
        metavar="NAME",
        help="network with a pyramid, of the zoo or of keras.applications (default: "
        "efficientnet_lite0)",
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet, or a .weights.h5 file of the network (default: imagenet)",
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=192,
        metavar="N",
        help="short side of whole images (default: 192)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="file for the results, .json or .md, beside what is printed",
    )
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_compare, memory_hint="take a smaller --short-side")


def _compare(options: argparse.Namespace) -> int:
    suffix = options.output and Path(options.output).suffix
    if suffix is not None and suffix not in _FORMATS:
        raise ValueError(
            f"--output must end in {' or '.join(_FORMATS)}. Received: {options.output}."
        )
    load_tensorflow()
    from spp_keras import comparison

    names = ("data_dir", "train_split", "test_split", "seeds", "network", "weights", "short_side")
    results = comparison.compare_size_policies(
        options.data, **{name: getattr(options, name) for name in names}
    )
    text = comparison.format_comparison(results)
    if suffix == ".json":
        _files.write_json(options.output, results)
    elif suffix:
        _files.write_file(options.output, text + "\n")
    print(json.dumps(results) if options.json else text)
    return 0
