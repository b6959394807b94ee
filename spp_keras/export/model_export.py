"""The one function that exports a model; the name of its output decides the target."""

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from spp_keras import _checks
from spp_keras.data import image_rules, size_policies
from spp_keras.detection import Detector
from spp_keras.export import calibration
from spp_keras.export.tf_serving import classifier as served_classifier
from spp_keras.export.tf_serving import detector as served_detector
from spp_keras.export.tflite import classifier as tflite_classifier
from spp_keras.export.tflite import detector as tflite_detector
from spp_keras.run_folder import RunFolder

_EXPORTS: dict[tuple[str, str], Callable[..., Path]] = {
    ("classifier", "TensorFlow Serving"): served_classifier.export_saved_model,
    ("classifier", "TFLite"): tflite_classifier.export_tflite,
    ("detector", "TensorFlow Serving"): served_detector.export_detector,
    ("detector", "TFLite"): tflite_detector.export_detector_tflite,
}


def export_model(
    model: keras.Model | RunFolder | str | Path,
    output: str | Path,
    *,
    labels: Sequence[str] | None = None,
    size_policy: size_policies.SizePolicy | None = None,
    orientation: Literal["exif", "file"] | None = None,
    top_k: int | None = None,
    on_error: Literal["fail", "report"] | None = None,
    limits: image_rules.ImageLimits | None = None,
    longest_side: int | None = None,
    quantization: Literal["none", "float16", "dynamic", "int8"] | None = None,
    image_size: int | tuple[int, int] | None = None,
    calibration_images: Iterable[Any] | str | None = None,
    with_boxes: bool | None = None,
) -> Path:
    """Exports a run, a classifier or a detector for TensorFlow Serving or for TFLite.

    Where `output` ends in `.tflite`, a TFLite file of built-in operations is
    written, with its labels beside it. Else `output` is the folder of a model of
    TensorFlow Serving, and its next version is written: a SavedModel that decodes
    and preprocesses image files itself.

    An option that does not apply to the model or the target is an error. The
    default of every option is `None`, which stands for the value named below.

    Args:
        model: A run or its folder; or a classifier of the zoo or `spp_classifier`,
            or a `spp_keras.detection.Detector`. A run knows its labels, size policy,
            orientation and images to calibrate with.
        output: `"saved_models/NAME"`, or a path that ends in `.tflite`.
        labels: Class names, in the order of the scores. Required for a classifier
            that is no run; a detector has its own.
        size_policy: Classifiers: how image files are sized, a policy of
            `spp_keras.data`. Defaults to the whole image, at most 1024 pixels
            long; for a model of one size to the crop at the center.
        orientation: `"exif"` turns image files as their EXIF orientation says,
            `"file"` keeps their pixels as stored. Defaults to `"exif"`. Not for a
            detector as TFLite file, which takes pixels only.
        top_k: TensorFlow Serving, classifiers: number of classes that the signature
            `bytes` returns. Defaults to 5.
        on_error: TensorFlow Serving: `"fail"` refuses a request with an unusable
            image file; `"report"` answers for the other images and returns
            `error_codes` and `errors`. Defaults to `"fail"`.
        limits: TensorFlow Serving: limits for image files. Defaults to
            `ImageLimits()`.
        longest_side: TensorFlow Serving, detectors: image files are scaled down to
            so many pixels. Defaults to 1024.
        quantization: TFLite: `"none"`, `"float16"`, `"dynamic"` or, classifiers
            only, `"int8"`, see `export_tflite`. Defaults to `"none"`.
        image_size: TFLite: height and width of every image, an integer for
            squares. Defaults to any size.
        calibration_images: TFLite, `quantization="int8"`: about a hundred images,
            uint8 `(height, width, 3)`; of a run also the name of an image folder or
            data set. Defaults to some training images of the run.
        with_boxes: TFLite, detectors: whether proposals come with each image.
            Defaults to whether the detector has no `rpn`.

    Returns:
        Path of the version's folder or of the TFLite file.

    Example:

    >>> import tempfile
    >>> model = zf5_spp(classes=2, width=0.0625)
    >>> folder = Path(tempfile.mkdtemp())
    >>> export_model(model, folder / "models" / "pets", labels=["cat", "dog"]).name
    '1'
    >>> export_model(
    ...     model, folder / "pets.tflite", labels=["cat", "dog"], quantization="float16"
    ... ).name
    'pets.tflite'
    """
    options = {
        "labels": labels,
        "size_policy": size_policy,
        "orientation": orientation,
        "top_k": top_k,
        "on_error": on_error,
        "limits": limits,
        "longest_side": longest_side,
        "quantization": quantization,
        "image_size": (image_size, image_size) if isinstance(image_size, int) else image_size,
        "calibration_images": calibration_images,
        "with_boxes": with_boxes,
    }
    options = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, str | os.PathLike):
        run = RunFolder(model)
        model = run.load_model()
        options = _add_run_options(run, output, options)
    kind = "detector" if isinstance(model, Detector) else "classifier"
    target = "TFLite" if Path(output).suffix == ".tflite" else "TensorFlow Serving"
    _check_options(options, kind, target)
    return _EXPORTS[kind, target](model, output, **options)


def _add_run_options(run: RunFolder, output: str | Path, options: dict[str, Any]) -> dict[str, Any]:
    """The options, and those that a run knows."""
    is_tflite = Path(output).suffix == ".tflite"
    if run.is_detector:
        return options if is_tflite else {"orientation": run.orientation, **options}
    size_policy = run.size_policy
    if "image_size" in options:
        size_policy = size_policies.center_crop(
            _checks.at_least(options["image_size"][0], 1, "image_size")
        )
    options = {
        "labels": run.labels,
        "size_policy": size_policy,
        "orientation": run.orientation,
        **options,
    }
    data = options.get("calibration_images")
    if options.get("quantization") == "int8" and (data is None or isinstance(data, str)):
        policy = options["size_policy"]
        options["calibration_images"] = calibration.sample_images(run, policy, data)
    return options


def _check_options(options: Iterable[str], kind: str, target: str) -> None:
    for name in options:
        takers = [pair for pair, export in _EXPORTS.items() if name in _list_parameters(export)]
        if (kind, target) not in takers:
            names = " or ".join(f"a {other} for {format}" for other, format in takers)
            raise ValueError(
                f"`{name}` is an option of the export of {names}: leave it out. "
                f"Received: {name} for a {kind} for {target}."
            )
    if kind == "classifier" and "labels" not in options:
        raise ValueError(
            "`labels` must be the names of the classes, in the order of the scores. "
            "Received: labels=None."
        )


def _list_parameters(export: Callable[..., Path]) -> Iterable[str]:
    return inspect.signature(export).parameters
