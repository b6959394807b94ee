"""Operations on boxes `(n, 4)`: left, top, right and bottom in pixels, ends exclusive."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

# Limit on how many times as long a side can become: a thousand pixels from sixteen.
_MAX_SCALE = 62.5
_FORMATS = {"anchor_format": "xyxy", "box_format": "xyxy"}


def box_iou(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes, in NumPy and float64.

    Args:
        boxes1: `(n, 4)`.
        boxes2: `(m, 4)`.

    Returns:
        `(n, m)`, 0 where both boxes have no area.

    Example:

    >>> box_iou(np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 5], [20, 20, 30, 30]])).tolist()
    [[0.5, 0.0]]
    """
    boxes1, boxes2 = np.asarray(boxes1, "float64"), np.asarray(boxes2, "float64")
    low = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    high = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=2)
    areas1, areas2 = (
        np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (boxes1, boxes2)
    )
    union = areas1[:, None] + areas2[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def encode_boxes(anchors: Any, boxes: Any) -> Any:
    """Box deltas: the four numbers that turn anchors or proposals into boxes.

    They are the shift of the center to the right and down, as fractions of the
    anchor's width and height, and the logarithms of the two scale factors.

    Args:
        anchors: `(n, 4)`.
        boxes: `(n, 4)`, the box that each anchor is to become.

    Returns:
        float32 `(n, 4)`.

    Example:

    >>> deltas = encode_boxes([[0.0, 0.0, 10.0, 20.0]], [[5.0, 0.0, 15.0, 20.0]])
    >>> keras.ops.convert_to_numpy(deltas).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    return keras.utils.bounding_boxes.encode_box_to_deltas(
        ops.cast(anchors, "float32"),
        ops.cast(boxes, "float32"),
        **_FORMATS,
        encoding_format="center_xywh",
    )


def decode_boxes(anchors: Any, deltas: Any) -> Any:
    """Boxes `(n, 4)` from anchors and deltas, the inverse of `encode_boxes`.

    A side becomes at most 62.5 times as long or as short.

    Args:
        anchors: `(n, 4)`.
        deltas: `(n, 4)`.

    Example:

    >>> boxes = decode_boxes([[0.0, 0.0, 10.0, 20.0]], [[0.5, 0.0, 0.0, 0.0]])
    >>> keras.ops.convert_to_numpy(boxes).tolist()
    [[5.0, 0.0, 15.0, 20.0]]
    """
    limit = math.log(_MAX_SCALE)
    deltas = ops.convert_to_tensor(deltas)
    deltas = ops.concatenate([deltas[:, :2], ops.clip(deltas[:, 2:], -limit, limit)], axis=1)
    return keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors, deltas, **_FORMATS, encoded_format="center_xywh"
    )


def clip_boxes(boxes: Any, size: Any) -> Any:
    """Boxes cut off at the borders of their image.

    Args:
        boxes: float32 `(n, 4)`.
        size: Height and width of the image.

    Example:

    >>> keras.ops.convert_to_numpy(clip_boxes([[-5.0, 3.0, 25.0, 30.0]], (20, 15))).tolist()
    [[0.0, 3.0, 15.0, 20.0]]
    """
    limits = ops.cast(ops.stack([size[1], size[0], size[1], size[0]]), "float32")
    return ops.clip(ops.convert_to_tensor(boxes), 0.0, limits)
