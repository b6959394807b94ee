"""Detectors as TFLite files, for phones and small boards."""

from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from spp_keras import _checks
from spp_keras.detection import Detector
from spp_keras.export import checks
from spp_keras.export.tflite import conversion

FORMS = ("float32", "float16", "dynamic")


def export_detector_tflite(
    detector: Detector,
    to: str | Path,
    *,
    form: Literal["float32", "float16", "dynamic"] = "float32",
    size: tuple[int, int] | None = None,
    boxes: bool | None = None,
) -> Path:
    r"""Writes a detector as a TFLite file, and its labels beside it.

    The file answers for one image at a time, by TFLite's built-in operations
    alone. Its signature is `serving_default`: from `images`, `(1, height,
    width, 3)` in RGB 0..255, and `boxes`, `(1, n, 4)`, if it takes any, to
    `boxes` `(1, most, 4)`, `scores` and `classes` `(1, most)` and `count` `(1,)`,
    as the detector answers. Boxes are in pixels of the image that is sent, and
    there may be none; those that are not finite, or whose ends are before their
    beginnings, are not refused there.

    Args:
        detector: The detector.
        to: Path of the file, ending in `.tflite`. The labels go, one a line,
            into the file of that name with `.labels.txt` in place of `.tflite`.
        form: What the weights are: `"float32"`; `"float16"`, half the size and
            almost the same answers; or `"dynamic"`, a quarter of the size,
            weights in 8 bits and maps in 8 bits by each image's own range.
            Defaults to `"float32"`.
        size: Height and width of every image, or `None` for a file that takes
            any size, by `resize_tensor_input`. Defaults to `None`.
        boxes: Whether windows come with each image. Defaults to whether the
            detector has no proposer.

    Returns:
        The path of the file.

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
    to = conversion.check_tflite_path(to)
    checks.check_detector(detector)
    _check_form(form)
    boxes = _takes_boxes(detector, boxes)
    shape = conversion.resolve_image_shape((None, None, 3), size, least=1)
    signature = [tf.TensorSpec((1, *shape), tf.float32, "images")]
    if boxes:
        signature.append(tf.TensorSpec((1, None, 4), tf.float32, "boxes"))

    def detect(images: Any, boxes: Any = None) -> Any:
        found = detector.detect(images[0], None if boxes is None else boxes[0])
        return {name: value[tf.newaxis] for name, value in found.items()}

    with conversion.make_converter(detector, detect, signature, form) as converter:
        content = converter.convert()
    return conversion.write_tflite(content, to, detector.labels)


def _check_form(form: Any) -> None:
    if form == "int8":
        raise ValueError(
            "`form` must be one of 'float32', 'float16', 'dynamic' for a detector, whose boxes "
            "8 bits are too few for; 'dynamic' has weights and maps in 8 bits, and boxes not. "
            "Received: form='int8'."
        )
    _checks.one_of(form, FORMS, "form")


def _takes_boxes(detector: Detector, boxes: bool | None) -> bool:
    if boxes is False and detector.rpn is None:
        raise ValueError(
            "`boxes` must be None or True for a detector without `rpn`, which finds nothing "
            "else to look at. Received: boxes=False."
        )
    return detector.rpn is None if boxes is None else boxes
