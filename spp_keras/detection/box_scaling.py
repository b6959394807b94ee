"""Boxes between an image file and its decoded pixels, which may have been scaled down."""

from typing import Any

import tensorflow as tf

from spp_keras.ops import clip_boxes


def scale_boxes_to_file(boxes: Any, decoded_size: Any, file_size: Any) -> Any:
    """Scales boxes from decoded pixels to pixels of the file, and clips them to its image.

    Args:
        boxes: float32 `(n, 4)`, left, top, right and bottom.
        decoded_size: Height and width of the decoded image.
        file_size: Height and width of the image in the file, upright.

    Example:

    >>> boxes = scale_boxes_to_file(tf.constant([[2.5, 10, 7.5, 60]]), (50, 50), (100, 200))
    >>> boxes.numpy().tolist()
    [[10.0, 20.0, 30.0, 100.0]]
    """
    return clip_boxes(boxes * compute_scale_factors(decoded_size, file_size), file_size)


def scale_boxes_to_decoded(boxes: Any, decoded_size: Any, file_size: Any) -> Any:
    """Scales boxes from pixels of the file to decoded pixels.

    Args:
        boxes: float32 `(n, 4)`, left, top, right and bottom.
        decoded_size: Height and width of the decoded image.
        file_size: Height and width of the image in the file, upright.

    Example:

    >>> boxes = scale_boxes_to_decoded(tf.constant([[10.0, 20, 30, 40]]), (50, 50), (100, 200))
    >>> boxes.numpy().tolist()
    [[2.5, 10.0, 7.5, 20.0]]
    """
    return boxes / compute_scale_factors(decoded_size, file_size)


def compute_scale_factors(from_size: Any, to_size: Any) -> Any:
    """Factors of left, top, right and bottom, float32 `(4,)`, from one image size to another.

    Args:
        from_size: Height and width of the image that the boxes are in.
        to_size: Height and width of the image that they are scaled to.
    """
    scales = tf.cast(to_size, tf.float32) / tf.cast(from_size, tf.float32)
    return tf.gather(scales, [1, 0, 1, 0])
