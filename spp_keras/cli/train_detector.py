"""`spp-keras train-detector`."""

import argparse
import json
import sys
from pathlib import Path

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "train-detector",
        help="train a detector on the convolutions of a run, or go on where it was killed",
        description="Trains a detector: the convolutions of a trained network stay as they are, "
        "their maps are kept on disk, and what scores windows of them is fine-tuned. Leaves "
        "detector.keras and, of the validation images, scores.json. If the training was begun "
        "before, goes on where it was.",
        examples="  spp-keras train-detector runs/zf5_spp-shapes --data shapes "
        "--scales 344 --side 112\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/ --head svm "
        "--scales 480,576,688,864,1200\n"
        "  spp-keras train-detector runs/zf5_spp --data VOCdevkit/ --proposals edge_boxes.jsonl",
    )
    parser.add_argument("network", metavar="RUN", help="run folder of a network with a pyramid")
    parser.add_argument("--data", required=True, help="folder or data set with boxes")
    parser.add_argument("--data-dir", default="", help="where TensorFlow Datasets keeps its data")
    parser.add_argument("--train-split", default="", help="split to learn from")
    parser.add_argument("--validation-split", default="", help="split to be tested on")
    parser.add_argument(
        "--head",
        choices=("softmax", "svm"),
        default="softmax",
        help="softmax and regression learned together, or, as in the paper, support vector "
        "machines and ridge regression on the layers so learned (default: softmax)",
    )
    parser.add_argument(
        "--scales",
        type=_integers,
        default=(688,),
        metavar="N[,N...]",
        help="short sides that images are scaled to (default: 688)",
    )
    parser.add_argument(
        "--side",
        type=int,
        default=224,
        help="side of the square whose area a scaled window should have: the size of what the "
        "network learned from (default: 224)",
    )
    parser.add_argument(
        "--proposals", default="", metavar="FILE", help="windows (default: selective search)"
    )
    parser.add_argument(
        "--no-rpn",
        dest="rpn",
        action="store_false",
        help="the detector is always given windows, and need not learn to propose them",
    )
    parser.add_argument("--epochs", type=int, default=12, help="of fine-tuning (default: 12)")
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.01,
        help="of the first epochs, a tenth behind four fifths of them (default: 0.01)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    parser.add_argument(
        "--orientation",
        choices=("exif", "file"),
        default="exif",
        help="which way up images are taken: turned as their EXIF orientation says, or as their "
        "pixels lie in the file (default: exif)",
    )
    parser.add_argument(
        "--run",
        dest="folder",
        metavar="FOLDER",
        help="for what comes of it (default: RUN-detector)",
    )
    parser.add_argument(
        "--maps", metavar="FOLDER", help="for the maps, which trainings may share (default: in it)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(run=_run, less_memory="--scales with smaller numbers makes smaller maps")


def _run(options: argparse.Namespace) -> int:
    load_tensorflow()
    from spp_keras import detection

    given = vars(options)
    names: tuple[str, ...] = ("data", "data_dir", "train_split", "validation_split", "head")
    names += ("scales", "side", "proposals", "rpn", "epochs", "learning_rate", "seed")
    names += ("orientation",)
    settings = detection.Settings(run=options.network, **{name: given[name] for name in names})
    folder = Path(options.folder or f"{options.network.rstrip('/')}-detector")
    result = detection.train_detector(settings, folder, maps=options.maps)
    for name in result["untrained"]:
        print(f"spp-keras: no object of {name!r} to learn from; it is never found", file=sys.stderr)
    if options.json:
        print(json.dumps({"run": str(folder), **result}))
    else:
        print(f"{folder}\tmAP {100 * result['voc_area']['mean']:.1f}%")
    return 0


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be whole numbers with commas between, not {text!r}"
        ) from error
