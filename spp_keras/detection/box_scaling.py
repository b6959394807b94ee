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
    return clip_boxes(boxes * _compute_scales(decoded_size, file_size), file_size)


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
    return boxes / _compute_scales(decoded_size, file_size)


def _compute_scales(decoded_size: Any, file_size: Any) -> Any:
    scales = tf.cast(file_size, tf.float32) / tf.cast(decoded_size, tf.float32)
    return tf.gather(scales, [1, 0, 1, 0])
