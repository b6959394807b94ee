"""Export of a classifier as a TFLite file, for phones and small boards."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from spp_keras import _checks, _extras, _files, tflite_files
from spp_keras.data import backgrounds, orientations, size_policies
from spp_keras.export import argument_checks, calibration
from spp_keras.export.graph_writer import Signature
from spp_keras.export.tflite import conversion
from spp_keras.layers import (
    LocalResponseNormalization,
    RoISpatialPyramidPooling,
    SpatialPyramidPooling,
)
from spp_keras.models import graph_run

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


def export_tflite(
    model: keras.Model,
    output: str | Path,
    *,
    labels: Sequence[str],
    quantization: Literal["none", "float16", "dynamic", "int8"] = "none",
    image_size: tuple[int, int] | None = None,
    size_policy: size_policies.SizePolicy | None = None,
    calibration_images: Iterable[Any] | None = None,
    orientation: Literal["exif", "file"] = "exif",
    background: str = backgrounds.WHITE,
) -> Path:
    r"""Exports a classifier as a TFLite file, with its labels beside it.

    The file takes one image at a time and has TFLite's built-in operations
    alone. Its signature is `serving_default`: from `images`, `(1, height,
    width, channels)` in RGB 0..255, to `scores` in float32, `(1, classes)`.
    That of a model from `with_boxes` has `boxes`, `(1, boxes, 4)`, too, and
    returns `(1, boxes, classes)`; the interpreter fails without any box. Images
    smaller than the model can map are not refused there: the scores are wrong
    or the interpreter fails.

    Args:
        model: Model of this zoo with its top, `spp_classifier`'s and
            `with_boxes`'s included.
        output: Path of the file, ending in `.tflite`. The labels go, one a line,
            into the file of that name with `.labels.txt` in place of `.tflite`.
        labels: Class names, in the order of the scores.
        quantization: Number format of the file. `"none"`: float32, with the model's
            scores. `"float16"`: half the size, almost the same scores. `"dynamic"`: a
            quarter of the size and, for wide networks, several times as fast,
            with weights of 8 bits and feature maps quantized by the range of each
            image. `"int8"`: likewise, with ranges calibrated in advance and uint8
            `images`, for processors with integer arithmetic; normalizations, box
            coordinates and the scores stay in float32. Defaults to `"none"`.
        image_size: Height and width of every image, or `None` for a file that takes
            any size, by `resize_tensor_input`. Defaults to `None`.
        size_policy: How image files are sized for the model, a policy of
            `spp_keras.data`, which `spp_keras.serving` reads from the file of that
            name with `.preprocessing.json`. Defaults to the whole image, at most 1024
            pixels long; for one size that is square to the crop at the center;
            for another size to none.
        calibration_images: For `"int8"`, and only for it, images such as the model
            will see, arrays `(height, width, channels)` of uint8: of `image_size`,
            or of typical sizes if that is `None`. A hundred suffice. For a
            model with boxes, pairs of an image and its boxes `(boxes, 4)`.
        orientation: `"exif"` if image files are turned as their EXIF orientation says,
            `"file"` if their pixels are taken as stored. For `spp_keras.serving`, beside
            the size policy. Defaults to `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`, likewise.
            Defaults to `"white"`.

    Returns:
        Path of the file.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> model = keras.Sequential([keras.Input((8, 8, 3), name="images"), keras.layers.Flatten()])
    >>> model.add(keras.layers.Dense(2, activation="softmax"))
    >>> export_tflite(model, folder / "pets.tflite", labels=["cat", "dog"]).name
    'pets.tflite'
    >>> (folder / "pets.labels.txt").read_text()
    'cat\ndog\n'
    """
    output = conversion.check_tflite_path(output)
    inputs = _find_inputs(model)
    labels = argument_checks.check_labels(labels, model.output_shape[-1], model.name)
    _checks.one_of(quantization, QUANTIZATIONS, "quantization")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    backgrounds.parse_background(background)
    min_side = graph_run.min_image_size(model)
    shape = conversion.resolve_image_shape(inputs["images"].shape[1:], image_size, min_side)
    requests = calibration.make_calibration_requests(
        calibration_images, quantization, shape, min_side, tuple(inputs)
    )
    if size_policy is not None or ("boxes" not in inputs and shape[0] == shape[1]):
        size_policy = argument_checks.resolve_size_policy(size_policy, *shape[:2])

    signature = _make_signature(model, tuple(inputs), shape, quantization)
    with conversion.make_converter(model, signature, quantization) as converter:
        if quantization == "int8":
            _extras.require("tflite", "Quantization to int8", "ai_edge_litert")
            from spp_keras.export.tflite import int8_quantization

            content = int8_quantization.quantize(converter, requests, list_float_layers(model))
        else:
            content = converter.convert()
    if size_policy is not None:
        preprocessing = tflite_files.Preprocessing(size_policy, min_side, orientation, background)
        tflite_files.write_preprocessing(output, preprocessing)
    tflite_files.write_labels(output, labels)
    # Last, so that a new file never lies beside old labels.
    _files.write_file(output, content)
    return output


def _make_signature(
    model: keras.Model, input_names: Sequence[str], shape: Sequence[Any], quantization: str
) -> Signature:
    def classify(images: Any, boxes: Any = None) -> dict[str, Any]:
        images = tf.cast(images, "float32")
        inputs = images if boxes is None else {"images": images, "boxes": boxes}
        return {"scores": model(inputs, training=False)}

    dtype = "uint8" if quantization == "int8" else "float32"
    specs = {
        "images": tf.TensorSpec((1, *shape), dtype, "images"),
        "boxes": tf.TensorSpec((1, None, 4), "float32", "boxes"),
    }
    return Signature(classify, tuple(specs[name] for name in input_names))


def list_float_layers(model: keras.Model) -> list[str]:
    """Names of the layers that stay in float32 in an int8 file.

    Args:
        model: The classifier.

    Example:

    >>> list_float_layers(zf5_spp(classes=2, width=0.0625))
    ['preprocessing', 'norm1', 'norm2', 'predictions']
    """
    types = (LocalResponseNormalization, RoISpatialPyramidPooling, keras.layers.Rescaling)
    return [
        layer.name
        for layer in _walk_layers(model)
        if isinstance(layer, types)
        or layer is model.layers[-1]
        or (isinstance(layer, SpatialPyramidPooling) and layer.mode == "average")
    ]


def _walk_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layers inside a model or a layer, at any depth."""
    layers = layer.layers if isinstance(layer, keras.Model) else vars(layer).values()
    for inner in layers:
        if isinstance(inner, keras.layers.Layer):
            yield inner
            yield from _walk_layers(inner)


def _find_inputs(model: Any) -> dict[str, Any]:
    """The inputs of a model by the names that they have in the file."""
    inputs = list(getattr(model, "inputs", None) or [])
    names = ["images"] if len(inputs) == 1 else sorted(tensor.name for tensor in inputs)
    is_classifier = isinstance(model, keras.Model) and names in (["images"], ["boxes", "images"])
    is_classifier = is_classifier and [len(x.shape) for x in model.outputs] == [1 + len(names)]
    if not is_classifier:
        raise ValueError(
            "`model` must be a `keras.Model` with its top, from images, or from `images` and "
            "`boxes` as by `zoo.with_boxes`. Of a model made by `zoo.with_sizes`, export the model "
            f"that it was made from. Received: model={getattr(model, 'name', model)!r}."
        )
    if len(names) == 1:
        return {"images": inputs[0]}
    by_name = {tensor.name: tensor for tensor in inputs}
    return {"images": by_name["images"], "boxes": by_name["boxes"]}
