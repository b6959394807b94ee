"""Serving signatures of a detector."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from spp_keras.data import safe_decoding
from spp_keras.detection import Detector, box_scaling
from spp_keras.export.graph_writer import Signature
from spp_keras.export.tf_serving import input_decoding

# The paper has some 2,000 an image. Each that differs from all others takes the memory of
# its pooled vector and of the layers behind it.
MAX_BOXES = 20_000


def build_detector_signatures(
    detector: Detector, files: input_decoding.FileInputs
) -> dict[str, Signature]:
    """Builds the signatures that `export_detector` describes.

    Args:
        detector: The detector.
        files: How image files are decoded.
    """
    # Not None: the policy of `export_detector` has a longest side.
    max_pixels: Any = files.size_policy.max_pixels(files.limits.max_aspect)
    file_signature = "bytes_with_boxes" if detector.rpn is None else "bytes"
    detect = _trace_once(detector)
    blank = _make_blank(detector)

    def detect_in_pixels(images: Any, boxes: Any = None) -> dict[str, Any]:
        images = _check_not_empty(input_decoding.limit_pixels(images, max_pixels, file_signature))
        arguments = {} if boxes is None else {"boxes": _limit_boxes(boxes)}
        detections = input_decoding.map_images(
            lambda _, image, *rows: detect(image, *rows), blank, {"images": images, **arguments}
        )
        return _add_labels(detections, detector.labels)

    def detect_in_files(image_bytes: Any, boxes: Any = None) -> dict[str, Any]:
        arguments = {} if boxes is None else {"boxes": _limit_boxes(boxes)}
        detections = input_decoding.map_files(
            lambda image, *rows: _detect_in_file(detect, image, *rows),
            blank,
            files,
            image_bytes,
            **arguments,
        )
        return _add_labels(detections, detector.labels)

    images = tf.TensorSpec((None, None, None, 3), tf.float32, name="images")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    boxes = tf.TensorSpec((None, None, 4), tf.float32, name="boxes")
    without_boxes = {
        "serving_default": Signature(detect_in_pixels, (images,)),
        "bytes": Signature(detect_in_files, (image_bytes,)),
    }
    with_boxes = {
        "detect": Signature(detect_in_pixels, (images, boxes)),
        "bytes_with_boxes": Signature(detect_in_files, (image_bytes, boxes)),
    }
    if detector.rpn is None:
        return {"serving_default": with_boxes["detect"], **with_boxes}
    return without_boxes | with_boxes


def _trace_once(detector: Detector) -> Callable[..., dict[str, Any]]:
    """`detector.detect`, traced once for pixels and files: tracing takes most of an export."""
    pixels = tf.TensorSpec((None, None, 3), tf.float32)
    boxes = tf.TensorSpec((None, 4), tf.float32)
    without_boxes = tf.function(lambda image: detector.detect(image), [pixels], autograph=False)
    with_boxes = tf.function(detector.detect, [pixels, boxes], autograph=False)
    return lambda image, *rows: (with_boxes if rows else without_boxes)(image, *rows)


def _detect_in_file(
    detect: Callable[..., dict[str, Any]], image: safe_decoding.DecodedImage, *boxes: Any
) -> dict[str, Any]:
    """Detections in pixels of the file, from which the image may have been scaled down."""
    sizes = tf.shape(image.pixels)[:2], image.size
    detections = detect(
        tf.cast(image.pixels, tf.float32),
        *(box_scaling.scale_boxes_to_decoded(rows, *sizes) for rows in boxes),
    )
    boxes_in_file = box_scaling.scale_boxes_to_file(detections["boxes"], *sizes)
    return {**detections, "boxes": boxes_in_file}


def _make_blank(detector: Detector) -> dict[str, Any]:
    """The result for an image without detections."""
    count = detector.max_detections
    return {
        "boxes": tf.zeros((count, 4)),
        "scores": tf.zeros((count,)),
        "classes": tf.fill((count,), -1),
        "count": tf.constant(0),
    }


def _add_labels(detections: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    """Adds the label of each detection, empty for class -1."""
    label_table = tf.constant(["", *labels])
    return {**detections, "labels": tf.gather(label_table, detections["classes"] + 1)}


def _check_not_empty(images: Any) -> Any:
    check = tf.debugging.Assert(
        tf.reduce_all(tf.shape(images)[1:3] > 0), ["`images` must have one pixel or more each."]
    )
    with tf.control_dependencies([check]):
        return tf.identity(images)


def _limit_boxes(boxes: Any) -> Any:
    """Returns the boxes, or fails if their pooled vectors may not fit into memory."""
    boxes = tf.ensure_shape(boxes, boxes.shape)
    count = tf.shape(boxes)[1]
    message = tf.strings.format(
        "`boxes` has {} boxes an image, more than " + f"{MAX_BOXES}: send the best.", (count,)
    )
    with tf.control_dependencies([tf.debugging.Assert(count <= MAX_BOXES, [message])]):
        return tf.identity(boxes)
