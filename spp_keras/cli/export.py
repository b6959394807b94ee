"""`spp-keras export`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras import model_repository, runs
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "export",
        help="export a run for TF Serving or for TFLite",
        description="Exports the best network of a run, or the detector of its folder: as the next "
        "version of a model in a repository of TensorFlow Serving, or, where --to ends in .tflite, "
        "as a TFLite file of built-in operations with its labels beside it.",
        examples="  spp-keras export runs/zf5_spp-shapes --to saved_models/zf5_spp\n"
        "  spp-keras export runs/zf5_spp-shapes --to saved_models/zf5_spp --errors report\n"
        "  spp-keras export runs/zf5_spp-shapes --to phone/zf5_spp.tflite\n"
        "  spp-keras export runs/zf5_spp-shapes --to phone/zf5_spp.tflite --form int8 --size 224\n"
        "  spp-keras export runs/detector --to phone/detector.tflite --form float16",
    )
    parser.add_argument("folder", metavar="RUN", help="folder of a training")
    parser.add_argument("--to", required=True, help="REPOSITORY/MODEL, a folder, or FILE.tflite")
    served = parser.add_argument_group("for TF Serving")
    served.add_argument("--top", type=int, help="classes that `bytes` answers with (default: 5)")
    served.add_argument(
        "--errors",
        choices=("raise", "report"),
        help="whether an unusable image refuses its request, or is reported beside the answers "
        "for the others (default: raise)",
    )
    lite = parser.add_argument_group("for TFLite")
    lite.add_argument(
        "--form",
        choices=("float32", "float16", "dynamic", "int8"),
        help="of weights, and for int8 of all there is (default: float32)",
    )
    lite.add_argument(
        "--size", type=int, help="side of the images, if the file is to take one size alone"
    )
    lite.add_argument(
        "--calibration",
        metavar="DATA",
        help="folder or data set that int8 is fitted to (default: what the run learned from)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for_lite = options.to.endswith(".tflite")
    if not for_lite:
        # Before TensorFlow is loaded, which takes seconds.
        model_repository.check_model_path(options.to)
    wrong = ("top", "errors") if for_lite else ("form", "size", "calibration")
    for name in wrong:
        if getattr(options, name) is not None:
            kind = "the repository of a server" if for_lite else "a file ending in .tflite"
            raise ValueError(f"--{name} is for {kind}. Received: --to {options.to}.")
    load_tensorflow()
    if (Path(options.folder) / runs.DETECTOR).is_file():
        return _export_detector(options, for_lite)
    from spp_keras import _checks, export, trained
    from spp_keras.data import size_policies

    found = trained.load(options.folder)
    view = found.view
    given = _collect_options(options)
    if options.size is not None:
        side = _checks.at_least(options.size, 1, "size")
        view = size_policies.center_crop(side)
        given["image_size"] = (side, side)
    if options.form == "int8":
        given["calibration_images"] = trained.sample(options.folder, view, options.calibration)
    elif options.calibration is not None:
        raise ValueError(f"--calibration is for --form int8. Received: {options.calibration}.")
    given["orientation"] = found.orientation
    path = export.export_model(
        found.network, options.to, labels=found.labels, size_policy=view, **given
    )
    return _told(options, path, found.labels)


def _export_detector(options: argparse.Namespace, for_lite: bool) -> int:
    for name in ("top", "calibration"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"--{name} is for networks that name photographs; {options.folder} holds a "
                f"detector. Received: --{name} {getattr(options, name)}."
            )
    from spp_keras import detection, export

    detector = detection.load_detector_model(options.folder)
    given = _collect_options(options)
    if options.size is not None:
        given["image_size"] = (options.size, options.size)
    if not for_lite:
        given["orientation"] = detection.read_orientation(options.folder)
    path = export.export_model(detector, options.to, **given)
    return _told(options, path, detector.labels)


def _collect_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by the names that `export_model` has for them."""
    names = {"top": "top_k", "errors": "on_error", "form": "quantization"}
    values = {"raise": "fail", "float32": "none"}
    given = {name: getattr(options, flag) for flag, name in names.items()}
    return {name: values.get(value, value) for name, value in given.items() if value is not None}


def _told(options: argparse.Namespace, path: Path, labels: Sequence[str]) -> int:
    print(json.dumps({"path": str(path), "labels": list(labels)}) if options.json else path)
    return 0
