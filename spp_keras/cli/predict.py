"""`spp-keras predict`."""

import argparse
import glob
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "predict",
        help="classify images",
        description="Classifies images: prints a line for each, with the classes of the highest "
        "scores. A run, the SavedModel exported from it and the TFLite file exported from it see "
        "the same of an image, turned by its EXIF orientation. Images that cannot be used are "
        "reported, the others classified; the exit code is then 2.",
        examples="  spp-keras predict efficientnet_lite0 photo.jpg\n"
        "  spp-keras predict runs/zf5_spp-shapes photo.jpg\n"
        "  spp-keras predict saved_models/zf5_spp --top 1 photos/\n"
        "  spp-keras predict phone/zf5_spp.tflite --json photo.png\n"
        "  curl -s https://example.org/photo.jpg | spp-keras predict runs/zf5_spp-shapes -",
    )
    add_model_and_images(
        parser, "network with weights, run folder, SavedModel or folder of its versions, or .tflite"
    )
    parser.add_argument("--top", type=int, default=5, help="number of classes (default: 5)")
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_predict)


def add_model_and_images(parser: argparse.ArgumentParser, models: str) -> None:
    """Adds the positional arguments of commands that take a model and images."""
    parser.add_argument("run", metavar="RUN", help=models)
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="JPEG, PNG, GIF, BMP or WebP files, directories of them, or - for standard input",
    )


def list_images(arguments: list[str]) -> list[str]:
    """The image files of arguments, those in directories in the order of their names."""
    from spp_keras.data.image_formats import SUFFIXES

    names: list[str] = []
    for argument in arguments:
        if argument.startswith(("http://", "https://")):
            raise ValueError(
                "IMAGE must be a file. Download it first, or pass it on: "
                f"`curl -s {argument} | spp-keras predict RUN -`. Received: {argument}."
            )
        # Not every shell expands patterns, nor any shell those in quotes.
        if any(character in argument for character in "*?") and not Path(argument).exists():
            # `Path.glob` takes no absolute patterns.
            names += sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207
            continue
        if not Path(argument).is_dir():
            names.append(argument)
            continue
        files = [
            str(path)
            for path in sorted(Path(argument).rglob("*"))
            if path.suffix.lower() in SUFFIXES and path.is_file()
        ]
        if not files:
            raise ValueError(
                f"IMAGE must be a directory with images. Received: {argument}, which has none "
                f"that end in {', '.join(sorted(SUFFIXES))}."
            )
        names += files
    return names


def read_images(names: list[str]) -> Iterator[tuple[str, bytes | str]]:
    """Each name with the bytes of its file, or with the reason why it cannot be read."""
    for name in names:
        try:
            yield name, sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            yield name, f"cannot be read: {error.strerror}"


def _predict(options: argparse.Namespace) -> int:
    from spp_keras import _checks

    _checks.at_least(options.top, 1, "top")
    model = _arguments.choose_run(options.run)
    names = list_images(options.images)
    load_tensorflow()
    from spp_keras import serving

    predict, has_failed = serving.load_predictor(model, options.top), False
    for name, content in read_images(names):
        if isinstance(content, str):
            prediction = serving.Prediction(error=content)
        else:
            prediction = predict(content)
        has_failed = has_failed or prediction.error is not None
        if options.json:
            print(json.dumps({"image": name, **prediction._asdict()}), flush=True)
        elif prediction.error is not None:
            print(f"spp-keras: {name} {prediction.error}", file=sys.stderr)
        else:
            pairs = zip(prediction.labels, prediction.scores, strict=True)
            print(name, *(f"{label} {score:.3f}" for label, score in pairs), sep="\t", flush=True)
    return 2 if has_failed else 0
