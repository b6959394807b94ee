"""`spp-keras export`."""

import argparse
import json
from pathlib import Path

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow

_SERVING_OPTIONS = ("top", "on_error", "max_pixels")
_TFLITE_OPTIONS = ("quantize", "image_size", "calibration_data")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "export",
        help="export a run for TensorFlow Serving or as TFLite",
        description="Exports the best network of a run, or its detector: as the next version of a "
        "model in a repository of TensorFlow Serving, or, where --output ends in .tflite, as a "
        "TFLite file of built-in operations with its labels beside it. Prints the path.",
        examples="  spp-keras export efficientnet_lite0\n"
        "  spp-keras export runs/zf5_spp-shapes\n"
        "  spp-keras export runs/zf5_spp-shapes --output saved_models/zf5_spp --on-error report\n"
        "  spp-keras export runs/zf5_spp-shapes --output phone/zf5_spp.tflite\n"
        "  spp-keras export runs/zf5_spp-shapes --output phone/zf5_spp.tflite --quantize int8 "
        "--image-size 224\n"
        "  spp-keras export efficientnet_lite0 --output phone/lite0.tflite --quantize int8 "
        "--calibration-data photos/\n"
        "  spp-keras export runs/detector --output phone/detector.tflite --quantize float16",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, or network with weights")
    parser.add_argument(
        "--output",
        help="REPOSITORY/MODEL, a folder, or FILE.tflite (default: saved_models/ and RUN's name)",
    )
    serving = parser.add_argument_group("for TensorFlow Serving")
    serving.add_argument(
        "--top", type=int, metavar="N", help="classes in the answer of `bytes` (default: 5)"
    )
    serving.add_argument(
        "--on-error",
        choices=("fail", "report"),
        help="whether an unusable image fails its request, or is reported beside the answers "
        "for the others (default: fail)",
    )
    serving.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help="pixels of image files that are packed and mapped together; a larger image is mapped "
        "alone (default: 250000, for CPUs; such as 4000000 for an accelerator)",
    )
    tflite = parser.add_argument_group("for TFLite")
    tflite.add_argument(
        "--quantize",
        choices=("none", "float16", "dynamic", "int8"),
        help="number format of the weights, and for int8 of activations, too (default: none)",
    )
    tflite.add_argument(
        "--image-size", type=int, metavar="N", help="for a file that takes images of this size only"
    )
    tflite.add_argument(
        "--calibration-data",
        metavar="DATA",
        help="folder of images, or data set, to calibrate int8 with (default: that of the "
        "training; a network with weights has none here)",
    )
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_export)


def _export(options: argparse.Namespace) -> int:
    from spp_keras import model_repository
    from spp_keras.run_folder import RunFolder

    run = RunFolder(_arguments.choose_run(options.run))
    output = options.output or str(Path("saved_models") / run.path.resolve().name)
    is_tflite = output.endswith(".tflite")
    if not is_tflite:
        # Before TensorFlow is loaded, which takes seconds.
        model_repository.check_model_path(output)
    for name in _SERVING_OPTIONS if is_tflite else _TFLITE_OPTIONS:
        if getattr(options, name) is not None:
            target = "the repository of a server" if is_tflite else "a file ending in .tflite"
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is for {target}. Received: --output {output}.")
    if options.calibration_data is not None and options.quantize != "int8":
        raise ValueError(
            f"--calibration-data is for --quantize int8. Received: {options.calibration_data}."
        )
    load_tensorflow()
    from spp_keras import export

    names = {"top": "top_k", "on_error": "on_error", "max_pixels": "max_pixels"}
    names |= {"quantize": "quantization", "image_size": "image_size"}
    names |= {"calibration_data": "calibration_data"}
    arguments = {
        argument: getattr(options, name)
        for name, argument in names.items()
        if getattr(options, name) is not None
    }
    path = export.export_model(run, output, **arguments)
    if options.json:
        print(json.dumps({"path": str(path), "labels": list(run.labels)}))
    else:
        print(path)
    return 0
