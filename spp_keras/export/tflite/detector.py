"""Export of a detector as a TFLite file, for phones and small boards."""

from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from spp_keras import _checks, _files, tflite_files
from spp_keras.detection import Detector
from spp_keras.export import argument_checks
from spp_keras.export.graph_writer import Signature
from spp_keras.export.tflite import conversion

QUANTIZATIONS = ("none", "float16", "dynamic")


def export_detector_tflite(
    model: Detector,
    output: str | Path,
    *,
    quantization: Literal["none", "float16", "dynamic"] = "none",
    image_size: tuple[int, int] | None = None,
    with_boxes: bool | None = None,
) -> Path:
    r"""Exports a detector as a TFLite file, with its labels beside it.

    The file takes one image at a time and has TFLite's built-in operations
    alone. Its signature is `serving_default`: from `images`, `(1, height,
    width, 3)` in RGB 0..255, and proposals, `boxes`, `(1, n, 4)`, if it takes any, to
    `boxes` `(1, max_detections, 4)`, `scores` and `classes` `(1, max_detections)` and
    `count` `(1,)`, as the detector returns them. Boxes are in pixels of the image
    that is sent, and `n` may be 0; boxes that are not finite or whose ends are
    before their beginnings are not refused there.

    Args:
        model: The detector.
        output: Path of the file, ending in `.tflite`. The labels go, one a line,
            into the file of that name with `.labels.txt` in place of `.tflite`.
        quantization: Number format of the file: `"none"`, float32; `"float16"`, half
            the size and almost the same detections; or `"dynamic"`, a quarter of the
            size, with weights of 8 bits and feature maps quantized by the range of each
            image. Defaults to `"none"`.
        image_size: Height and width of every image, or `None` for a file that takes
            any size, by `resize_tensor_input`. Defaults to `None`.
        with_boxes: Whether proposals come with each image. Defaults to `None`, whether
            the detector has no `rpn`.

    Returns:
        Path of the file.

    Example:

    >>> import tempfile
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detector = Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,)
    ... )
    >>> path = export_detector_tflite(detector, tempfile.mkdtemp() + "/pets.tflite")
    >>> path.with_suffix(".labels.txt").read_text()
    'cat\ndog\n'
    """
    output = conversion.check_tflite_path(output)
    argument_checks.check_detector(model)
    _check_quantization(quantization)
    with_boxes = _resolve_with_boxes(model, with_boxes)
    shape = conversion.resolve_image_shape((None, None, 3), image_size, min_side=1)
    specs = [tf.TensorSpec((1, *shape), tf.float32, "images")]
    if with_boxes:
        specs.append(tf.TensorSpec((1, None, 4), tf.float32, "boxes"))

    def detect(images: Any, boxes: Any = None) -> dict[str, Any]:
        detections = model.detect(images[0], None if boxes is None else boxes[0])
        return {name: value[tf.newaxis] for name, value in detections.items()}

    signature = Signature(detect, tuple(specs))
    with conversion.make_converter(model, signature, quantization) as converter:
        content = converter.convert()
    tflite_files.write_labels(output, model.labels)
    _files.write_file(output, content)
    return output


def _check_quantization(quantization: Any) -> None:
    if quantization == "int8":
        raise ValueError(
            "`quantization` must be one of 'none', 'float16', 'dynamic' for a detector: 8 bits are "
            "too few for its boxes. 'dynamic' has weights and feature maps of 8 bits, and boxes in "
            "float32. Received: quantization='int8'."
        )
    _checks.one_of(quantization, QUANTIZATIONS, "quantization")


def _resolve_with_boxes(detector: Detector, with_boxes: bool | None) -> bool:
    if with_boxes is False and detector.rpn is None:
        raise ValueError(
            "`with_boxes` must be None or True for a detector without `rpn`, which has no "
            "proposals of its own. Received: with_boxes=False."
        )
    return detector.rpn is None if with_boxes is None else with_boxes
