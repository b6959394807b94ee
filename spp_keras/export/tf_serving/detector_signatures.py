"""What a served detector can be asked: each signature a function of the graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from spp_keras.data import safe_decoding
from spp_keras.detection import Detector
from spp_keras.export.tf_serving import input_decoding
from spp_keras.export.tf_serving.classifier_signatures import Signature
from spp_keras.ops import clip_boxes

# The paper has some 2,000 an image. Each that differs from all others takes the memory of
# its pooled vector and of the layers behind it.
MAX_BOXES = 20_000


def build_detector_signatures(
    detector: Detector, files: input_decoding.FileInputs
) -> dict[str, Signature]:
    """The signatures of a detector, see `spp_keras.export.export_detector`."""
    # There are that many: see `checks.view`.
    max_pixels: Any = files.view.max_pixels(files.limits.max_aspect)
    of_files = "bytes_with_boxes" if detector.rpn is None else "bytes"
    detect = _traced_once(detector)

    def of_pixels(images: Any, boxes: Any = None) -> dict[str, Any]:
        images = _not_empty(input_decoding.limit_pixels(images, max_pixels, of_files))
        given = {} if boxes is None else {"boxes": _bounded(boxes)}
        found = input_decoding.map_images(
            lambda _, image, *its: detect(image, *its),
            _nothing(detector),
            {"images": images, **given},
        )
        return _named(found, detector.labels)

    def of_bytes(image_bytes: Any, boxes: Any = None) -> dict[str, Any]:
        given = {} if boxes is None else {"boxes": _bounded(boxes)}
        found = input_decoding.map_files(
            lambda image, *its: _in_pixels_of_the_file(detect, image, *its),
            _nothing(detector),
            files,
            image_bytes,
            **given,
        )
        return _named(found, detector.labels)

    images = tf.TensorSpec((None, None, None, 3), tf.float32, name="images")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    boxes = tf.TensorSpec((None, None, 4), tf.float32, name="boxes")
    alone = {
        "serving_default": Signature(of_pixels, (images,)),
        "bytes": Signature(of_bytes, (image_bytes,)),
    }
    with_boxes = {
        "detect": Signature(of_pixels, (images, boxes)),
        "bytes_with_boxes": Signature(of_bytes, (image_bytes, boxes)),
    }
    if detector.rpn is None:
        return {"serving_default": with_boxes["detect"], **with_boxes}
    return alone | with_boxes


def _traced_once(detector: Detector) -> Callable[..., dict[str, Any]]:
    """`detector.detect` for pixels and files alike: tracing it takes longer than all else."""
    pixels = tf.TensorSpec((None, None, 3), tf.float32)
    boxes = tf.TensorSpec((None, 4), tf.float32)
    alone = tf.function(lambda image: detector.detect(image), [pixels], autograph=False)
    with_boxes = tf.function(detector.detect, [pixels, boxes], autograph=False)
    return lambda image, *its: (with_boxes if its else alone)(image, *its)


def _in_pixels_of_the_file(
    detect: Callable[..., dict[str, Any]], image: safe_decoding.DecodedImage, *boxes: Any
) -> dict[str, Any]:
    """The answer for an image that may have been scaled down when it was decoded."""
    seen = tf.cast(tf.shape(image.pixels)[:2], tf.float32)
    factors = tf.gather(tf.cast(image.size, tf.float32) / seen, [1, 0, 1, 0])
    found = detect(tf.cast(image.pixels, tf.float32), *(its / factors for its in boxes))
    return {**found, "boxes": clip_boxes(found["boxes"] * factors, image.size)}


def _nothing(detector: Detector) -> dict[str, Any]:
    """The answer where nothing is found."""
    return {
        "boxes": tf.zeros((detector.max_detections, 4)),
        "scores": tf.zeros((detector.max_detections,)),
        "classes": tf.fill((detector.max_detections,), -1),
        "count": tf.constant(0),
    }


def _named(found: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    """The answer with the labels of its classes, of which -1 has an empty one."""
    names = tf.constant(["", *labels])
    return {**found, "labels": tf.gather(names, found["classes"] + 1)}


def _not_empty(images: Any) -> Any:
    """The images, or an error where there is nothing to scale."""
    some = tf.debugging.Assert(
        tf.reduce_all(tf.shape(images)[1:3] > 0), ["`images` must have one pixel or more each."]
    )
    with tf.control_dependencies([some]):
        return tf.identity(images)


def _bounded(boxes: Any) -> Any:
    """The boxes, or an error where their vectors would not go into memory."""
    boxes = tf.ensure_shape(boxes, boxes.shape)
    count = tf.shape(boxes)[1]
    message = tf.strings.format(
        "`boxes` has {} boxes an image, more than " + f"{MAX_BOXES}: send the best.", (count,)
    )
    with tf.control_dependencies([tf.debugging.Assert(count <= MAX_BOXES, [message])]):
        return tf.identity(boxes)
