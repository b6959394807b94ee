"""`spp-keras detect`."""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow
from spp_keras.cli.predict import add_model_and_images, list_images, read_images

# Image formats that detections are drawn into.
_DRAWN_SUFFIXES = (".jpg", ".jpeg", ".png")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "detect",
        help="detect objects in images",
        description="Detects objects in images: prints a line for each object, the highest score "
        "first, of image, label, score, left, top, right and bottom, with tabs between. Boxes are "
        "in pixels of the image, turned by its EXIF orientation. Images that cannot be used are "
        "reported, the others searched; the exit code is then 2.",
        examples="  spp-keras detect runs/detector photo.jpg\n"
        "  spp-keras detect runs/detector photo.jpg --output drawn.jpg\n"
        "  spp-keras detect runs/detector photos/ --output drawn/\n"
        "  spp-keras detect runs/detector --score-threshold 0.8 --json photo.png",
    )
    add_model_and_images(parser, "a detector's run folder, SavedModel or folder of its versions")
    parser.add_argument(
        "--output",
        metavar="TO",
        help="draw the detections into a copy: a file ending in .jpg, .jpeg or .png, or a folder",
    )
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="SCORE",
        help="score that a detection must exceed (default: the detector's own, 0.5 for "
        "probabilities and 0 for the margins of --head svm)",
    )
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_detect)


def _detect(options: argparse.Namespace) -> int:
    if options.score_threshold is not None and math.isnan(options.score_threshold):
        raise ValueError("--score-threshold must be a number. Received: nan.")
    model = _arguments.choose_run(options.run)
    names = list_images(options.images)
    copies = _choose_copies(names, options.output)
    load_tensorflow()
    from spp_keras import serving
    from spp_keras.detection import Detections

    detect, has_failed = serving.load_detector(model, options.score_threshold), False
    for (name, content), copy in zip(read_images(names), copies, strict=True):
        detections = detect(content) if isinstance(content, bytes) else Detections(error=content)
        has_failed = has_failed or detections.error is not None
        if copy is not None and detections.error is None and isinstance(content, bytes):
            _draw(content, detections, copy, detect)
        if options.json:
            values = detections._asdict()
            values |= {key: values[key].tolist() for key in ("boxes", "scores", "classes")}
            print(json.dumps({"image": name, **values}), flush=True)
        elif detections.error is not None:
            print(f"spp-keras: {name} {detections.error}", file=sys.stderr)
        else:
            for box, score, label in zip(
                detections.boxes, detections.scores, detections.labels, strict=True
            ):
                edges = (f"{edge:.0f}" for edge in box)
                print(name, label, f"{score:.3f}", *edges, sep="\t", flush=True)
    return 2 if has_failed else 0


def _choose_copies(images: Sequence[str], output: str | None) -> Sequence[Path | None]:
    """The path of the drawn copy of each image."""
    if output is None:
        return [None] * len(images)
    path, suffix = Path(output), Path(output).suffix.lower()
    is_folder = path.is_dir() or output.endswith(("/", os.sep)) or not suffix
    if not is_folder and suffix not in _DRAWN_SUFFIXES:
        rule = "end in .jpg, .jpeg or .png, or be a folder; end the name of a new one in /"
    elif not is_folder and len(images) > 1:
        rule = "be a folder for several images; end the name of a new one in /"
    elif is_folder and path.is_file():
        rule = "be a folder or end in .jpg, .jpeg or .png; it is a file"
    else:
        rule = None
    if rule:
        raise ValueError(f"--output must {rule}. Received: --output {output}.")
    names = [Path(name) for name in images]
    copies = [path / _name_copy(name) for name in names] if is_folder else [path]
    originals = {name.resolve() for name in names}
    for index, copy in enumerate(copies):
        if copy in copies[:index]:
            raise ValueError(
                f"--output must have a name for each image; two would become {copy}. "
                "Draw them into two folders by two commands. "
                f"Received: {images[copies.index(copy)]} and {images[index]}."
            )
        if copy.resolve() in originals:
            raise ValueError(
                f"--output must not be an image that is given; {copy} would be lost. "
                f"Received: --output {output}."
            )
    return copies


def _name_copy(image: Path) -> str:
    if str(image) == "-":
        return "stdin.jpg"
    return image.name if image.suffix.lower() in _DRAWN_SUFFIXES else f"{image.stem}.jpg"


def _draw(content: bytes, detections: Any, path: Path, detect: Any) -> None:
    from spp_keras.data import image_conversion, image_ops
    from spp_keras.detection import drawing

    labels = dict(zip(detections.classes.tolist(), detections.labels, strict=True))
    content = image_conversion.convert_image(content)
    turn = 1 if detect.orientation == "file" else None
    pixels = image_ops.decode_image(content, turn, detect.background).numpy()
    drawing.save_drawing(path, pixels, detections, labels)
