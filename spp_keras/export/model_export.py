"""The one function that exports a model; the name of its output decides the target."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from spp_keras import _checks, pretrained
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
    background: str | None = None,
    top_k: int | None = None,
    on_error: Literal["fail", "report"] | None = None,
    limits: image_rules.ImageLimits | None = None,
    max_pixels: int | None = None,
    longest_side: int | None = None,
    quantization: Literal["none", "float16", "dynamic", "int8"] | None = None,
    image_size: int | tuple[int, int] | None = None,
    calibration_images: Iterable[Any] | None = None,
    calibration_data: str | None = None,
    with_boxes: bool | None = None,
) -> Path:
    """Exports a classifier or a detector for TensorFlow Serving or for TFLite.

    Where `output` ends in `.tflite`, a TFLite file of built-in operations is
    written, with its labels beside it. Else `output` is the folder of a model of
    TensorFlow Serving, and its next version is written: a SavedModel that decodes
    and preprocesses image files itself.

    An option that does not apply to the model or the target is an error. The
    default of every option is `None`, which stands for the value named below.

    Args:
        model: A run or its folder, the name of a network with weights, see
            `spp_keras.list_models`, or a model: a classifier of the zoo or `spp_classifier`, or a
            `spp_keras.detection.Detector`. A run has labels, size policy,
            orientation, background and calibration images of its own.
        output: `"saved_models/NAME"`, or a path that ends in `.tflite`.
        labels: Class names, in the order of the scores. Required for a classifier
            without a run; a detector has its own.
        size_policy: Classifiers: how image files are sized, a policy of
            `spp_keras.data`. Defaults to the run's, or else to the whole image, at most
            1024 pixels long; for images of one size to the crop at the center.
        orientation: `"exif"` turns image files as their EXIF orientation says,
            `"file"` keeps their pixels as stored. Defaults to the run's, or else to
            `"exif"`. Not for a detector as TFLite file, which takes pixels only.
        background: The color behind transparent image files, a name or `"#rrggbb"`. Defaults
            to the run's, or else to `"white"`. Not for a detector as TFLite file.
        top_k: TensorFlow Serving, classifiers: number of classes that the signature
            `bytes` returns. Defaults to 5.
        on_error: TensorFlow Serving: `"fail"` refuses a request with an unusable
            image file; `"report"` answers for the other images and returns
            `error_codes` and `errors`. Defaults to `"fail"`.
        limits: TensorFlow Serving: limits for image files. Defaults to
            `ImageLimits()`.
        max_pixels: TensorFlow Serving, classifiers: budget of pixels for image files that
            are packed on canvases and mapped together; a larger image is mapped alone. See
            `export_saved_model`. Defaults to 250,000.
        longest_side: TensorFlow Serving, detectors: image files are scaled down to
            so many pixels. Defaults to 1024.
        quantization: TFLite: `"none"`, `"float16"`, `"dynamic"` or, classifiers
            only, `"int8"`, see `export_tflite`. Defaults to `"none"`.
        image_size: TFLite: height and width of every image, or the side of square
            images. Defaults to any size.
        calibration_images: TFLite, `quantization="int8"`: about a hundred images,
            uint8 `(height, width, 3)`. Defaults to images of the run's training; a network
            with weights that is given by its name has none here.
        calibration_data: The same from a data set or a folder of images, with or without a
            folder for each class, for a run or a network given by its name.
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
    if isinstance(model, str | Path):
        model = RunFolder(pretrained.find_run(model))
    run = model if isinstance(model, RunFolder) else None
    options = {
        "labels": labels,
        "size_policy": size_policy,
        "orientation": orientation,
        "background": background,
        "top_k": top_k,
        "on_error": on_error,
        "limits": limits,
        "max_pixels": max_pixels,
        "longest_side": longest_side,
        "quantization": quantization,
        "image_size": _make_pair(image_size),
        "calibration_images": calibration_images,
        "with_boxes": with_boxes,
    }
    options = {name: value for name, value in options.items() if value is not None}
    is_detector = isinstance(model, Detector) if run is None else run.is_detector
    kind = "detector" if is_detector else "classifier"
    target = "TFLite" if Path(output).suffix == ".tflite" else "TensorFlow Serving"
    export = _EXPORTS[kind, target]
    _check_options(options, kind, target)
    _check_calibration_data(calibration_data, run, quantization)
    if quantization == "int8" and calibration_data is calibration_images is None:
        _check_has_training_data(run)
    if run is not None:
        defaults = _read_options(run, options, calibration_data)
        taken = _list_parameters(export)
        options = {name: defaults[name] for name in defaults if name in taken} | options
        model = run.model
    if kind == "classifier" and "labels" not in options:
        raise ValueError(
            "`labels` must be the names of the classes, in the order of the scores. "
            "Received: labels=None."
        )
    return export(model, output, **options)


def _make_pair(image_size: Any) -> Any:
    if isinstance(image_size, int):
        side = _checks.at_least(image_size, 1, "image_size")
        return side, side
    return image_size


def _check_options(options: Iterable[str], kind: str, target: str) -> None:
    for name in options:
        takers = [pair for pair, export in _EXPORTS.items() if name in _list_parameters(export)]
        if (kind, target) not in takers:
            names = " or ".join(f"a {other} for {format}" for other, format in takers)
            raise ValueError(
                f"`{name}` is an option of the export of {names}: leave it out. "
                f"Received: {name} for a {kind} for {target}."
            )


def _check_calibration_data(
    data: str | None, run: RunFolder | None, quantization: str | None
) -> None:
    if data is not None and (run is None or run.is_detector or quantization != "int8"):
        raise ValueError(
            "`calibration_data` is an option for the run of a classifier with "
            "quantization='int8'; without a run give `calibration_images`. "
            f"Received: calibration_data={data!r}."
        )


def _check_has_training_data(run: RunFolder | None) -> None:
    # Data that are drawn are at hand, wherever the network was trained.
    if run is not None and pretrained.is_in_cache(run.path) and run.recipe.data != "shapes":
        raise ValueError(
            "`calibration_data` must be given for quantization='int8' of a network with weights, "
            "whose training images are not here: a folder of about a hundred photographs such as "
            f"the network will see (--calibration-data photos/). Received: model={run.name!r} with "
            "calibration_data=None."
        )


def _read_options(
    run: RunFolder, options: dict[str, Any], calibration_data: str | None
) -> dict[str, Any]:
    """The options that a run knows."""
    if run.is_detector:
        return {"orientation": run.orientation, "background": run.background}
    height, width = options.get("image_size", (None, None))
    policy = options.get("size_policy")
    if policy is None and height is None:
        policy = run.size_policy
    elif policy is None and height == width:
        policy = size_policies.center_crop(height)
    read: dict[str, Any] = {
        "labels": run.labels,
        "orientation": run.orientation,
        "background": run.background,
    }
    if policy is not None:
        read["size_policy"] = policy
    if options.get("quantization") == "int8" and "calibration_images" not in options:
        policy = policy or run.size_policy
        read["calibration_images"] = calibration.sample_images(run, policy, calibration_data)
    return read


def _list_parameters(export: Callable[..., Path]) -> Iterable[str]:
    return inspect.signature(export).parameters
