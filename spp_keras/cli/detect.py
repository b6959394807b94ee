"""`spp-keras detect`."""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras.cli._command import add_command, load_tensorflow

# Endings of the copies that `detect` draws into.
_DRAWN = (".jpg", ".jpeg", ".png")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "detect",
        help="say what is where on photographs",
        description="Says what is where on photographs: a line for each object, the best first, "
        "of photograph, label, score, left, top, right and bottom, with tabs between. Boxes are in "
        "pixels of the photograph, turned by its EXIF orientation. "
        "Photographs that cannot be used are named, the others answered; the exit code is then 2.",
        examples="  spp-keras detect --model runs/detector photo.jpg\n"
        "  spp-keras detect --model runs/detector photo.jpg --save found.jpg\n"
        "  spp-keras detect --model runs/detector photographs/*.jpg --save found/\n"
        "  spp-keras detect --model runs/detector --score-threshold 0.8 --json photo.png",
    )
    parser.add_argument(
        "photographs", nargs="+", metavar="photo", help="JPEG, PNG, GIF, BMP or WebP"
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a detector's run folder, SavedModel or folder of its versions",
    )
    parser.add_argument(
        "--save",
        metavar="TO",
        help="draw what is found into a copy: a file ending in .jpg, .jpeg or .png, or a folder",
    )
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="SCORE",
        help="score that an object must exceed (default: the detector's own, 0.5 for "
        "probabilities and 0 for the margins of --head svm)",
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each photo")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.score_threshold is not None and math.isnan(options.score_threshold):
        raise ValueError("--score-threshold must be a number. Received: nan.")
    copies = _copies(options.photographs, options.save)
    load_tensorflow()
    from spp_keras import serving

    find, failed = serving.load_detector(options.model, options.score_threshold), False
    for name, copy in zip(options.photographs, copies, strict=True):
        try:
            content = Path(name).read_bytes()
            found = find(content)
        except OSError as error:
            found = serving.DetectorPrediction(error=f"cannot be read: {error.strerror}")
        failed = failed or found.error is not None
        if copy is not None and found.error is None:
            _draw(content, found, copy, serving.read_orientation(options.model))
        if options.json:
            print(json.dumps({"photo": name, **found._asdict()}), flush=True)
        elif found.error is not None:
            print(f"spp-keras: {name} {found.error}", file=sys.stderr)
        else:
            for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
                edges = (f"{edge:.0f}" for edge in box)
                print(name, label, f"{score:.3f}", *edges, sep="\t", flush=True)
    return 2 if failed else 0


def _copies(photographs: Sequence[str], to: str | None) -> Sequence[Path | None]:
    """Where each photograph is drawn to."""
    if to is None:
        return [None] * len(photographs)
    path, ending = Path(to), Path(to).suffix.lower()
    folder = path.is_dir() or to.endswith(("/", os.sep)) or not ending
    if not folder and ending not in _DRAWN:
        rule = "end in .jpg, .jpeg or .png, or be a folder; end the name of a new one in /"
    elif not folder and len(photographs) > 1:
        rule = "be a folder for several photographs; end the name of a new one in /"
    elif folder and path.is_file():
        rule = "be a folder or end in .jpg, .jpeg or .png; it is a file"
    else:
        rule = None
    if rule:
        raise ValueError(f"--save must {rule}. Received: --save {to}.")
    names = [Path(name) for name in photographs]
    copies = [path / _drawn_name(name) for name in names] if folder else [path]
    originals = {name.resolve() for name in names}
    for number, copy in enumerate(copies):
        if copy in copies[:number]:
            raise ValueError(
                f"--save must have a name for each photograph; two would become {copy}. "
                "Save them to two folders by two commands. "
                f"Received: {photographs[copies.index(copy)]} and {photographs[number]}."
            )
        if copy.resolve() in originals:
            raise ValueError(
                f"--save must not be a photograph that is given; {copy} would be lost. "
                f"Received: --save {to}."
            )
    return copies


def _drawn_name(photograph: Path) -> str:
    return photograph.name if photograph.suffix.lower() in _DRAWN else f"{photograph.stem}.jpg"


def _draw(content: bytes, found: Any, to: Path, orientation: str) -> None:
    import numpy as np

    from spp_keras.data import image_ops
    from spp_keras.detection import boxes, drawing

    detections = boxes.Detections(
        np.reshape(np.array(found.boxes, "float32"), (-1, 4)),
        np.array(found.scores, "float32"),
        np.array(found.classes, "int32"),
    )
    names = dict(zip(found.classes, found.labels, strict=True))
    pixels = image_ops.decode_image(content, 1 if orientation == "file" else None).numpy()
    drawing.save_drawing(to, pixels, detections, names)
