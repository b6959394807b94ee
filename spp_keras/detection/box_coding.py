"""Corrections of boxes: where the object lies that a window roughly covers.

Four numbers: by how much its center is to the right and below, as shares of the
window's width and height, and the logarithms of how much wider and higher it is.
"""

import math
from typing import Any

import keras
import tensorflow as tf

# No box is made more than so many times as long: what is a thousand pixels of sixteen.
_MOST_GROWTH = 62.5
_FORMATS = {"anchor_format": "xyxy", "box_format": "xyxy"}


def encode_boxes(boxes: Any, objects: Any) -> Any:
    """What makes objects `(n, 4)` of boxes `(n, 4)`.

    Example:

    >>> encode_boxes([[0.0, 0.0, 10.0, 20.0]], [[5.0, 0.0, 15.0, 20.0]]).numpy().tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    return keras.utils.bounding_boxes.encode_box_to_deltas(
        tf.cast(boxes, tf.float32),
        tf.cast(objects, tf.float32),
        **_FORMATS,
        encoding_format="center_xywh",
    )


def decode_boxes(boxes: Any, deltas: Any) -> Any:
    """Boxes `(n, 4)` moved and stretched by their corrections `(n, 4)`."""
    growth = math.log(_MOST_GROWTH)
    deltas = tf.concat([deltas[:, :2], tf.clip_by_value(deltas[:, 2:], -growth, growth)], axis=1)
    return keras.utils.bounding_boxes.decode_deltas_to_boxes(
        boxes, deltas, **_FORMATS, encoded_format="center_xywh"
    )


def clip_boxes(boxes: Any, size: Any) -> Any:
    """Boxes cut off at the borders of an image of that height and width."""
    limits = tf.cast(tf.gather(size, [1, 0, 1, 0]), tf.float32)
    return tf.clip_by_value(boxes, 0.0, limits)
