"""`spp-keras predict`."""

import argparse
import json
import sys
from pathlib import Path

from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "predict",
        help="say what is on photographs",
        description="Says what is on photographs: a line for each, the likeliest classes with "
        "their scores. A run, what was exported from it as SavedModel and what was exported for "
        "TFLite all see the same of a photograph, turned by its EXIF orientation. Photographs that "
        "cannot be used are named, the others answered; the exit code is then 2.",
        examples="  spp-keras predict --model runs/zf5_spp-shapes photo.jpg\n"
        "  spp-keras predict --model saved_models/zf5_spp --top 1 photographs/*.jpg\n"
        "  spp-keras predict --model phone/zf5_spp.tflite --json photo.png",
    )
    parser.add_argument(
        "photographs", nargs="+", metavar="photo", help="JPEG, PNG, GIF, BMP or WebP"
    )
    parser.add_argument(
        "--model",
        required=True,
        help="run folder, SavedModel or folder of its versions, or .tflite",
    )
    parser.add_argument("--top", type=int, default=5, help="how many classes (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from spp_keras import _checks

    _checks.at_least(options.top, 1, "top")
    load_tensorflow()
    from spp_keras import serving

    ask, failed = serving.load_predictor(options.model, options.top), False
    for name in options.photographs:
        try:
            answer = ask(Path(name).read_bytes())
        except OSError as error:
            answer = serving.Prediction(error=f"cannot be read: {error.strerror}")
        failed = failed or answer.error is not None
        if options.json:
            print(json.dumps({"photo": name, **answer._asdict()}), flush=True)
        elif answer.error is not None:
            print(f"spp-keras: {name} {answer.error}", file=sys.stderr)
        else:
            found = zip(answer.labels, answer.scores, strict=True)
            print(name, *(f"{label} {score:.3f}" for label, score in found), sep="\t", flush=True)
    return 2 if failed else 0
