"""The eight EXIF orientations, and turning images upright by them.

Orientations 5 to 8 are transposed; then 3, 4, 7 and 8 are mirrored from top to bottom, and
2, 3, 6 and 7 from left to right. With orientation 1 the pixels in the file are upright.
"""

from typing import Any

import numpy as np
import tensorflow as tf

# How image files are read: as EXIF says, or as their pixels lie in the file.
ORIENTATIONS = ("exif", "file")

# Indexed by orientation, of which there is no 0: axes of the file that become the first and the
# second axis of the upright image, and whether these are mirrored then.
_ORDERS = ((0, 1),) * 5 + ((1, 0),) * 4
_MIRRORED = tuple((index in (3, 4, 7, 8), index in (2, 3, 6, 7)) for index in range(9))
# The same as the first mirrored axis, and the number of mirrored axes.
_MIRRORED_AXES = tuple(
    (int(not vertical), vertical + horizontal) for vertical, horizontal in _MIRRORED
)


def turn_pixels(pixels: Any, orientation: Any) -> tf.Tensor:
    """Turns the pixels in a file upright.

    Args:
        pixels: `(height, width, channels)`.
        orientation: int32 scalar, 1 to 8.

    Returns:
        The pixels; height and width change places for orientations 5 to 8.

    Example:

    >>> turn_pixels([[[1], [2]], [[3], [4]]], 6)[..., 0].numpy().tolist()
    [[3, 1], [4, 2]]
    """
    # Without branches in the graph, which cost more than operations that change nothing.
    pixels = tf.transpose(pixels, tf.constant([(*order, 2) for order in _ORDERS])[orientation])
    first, count = tf.split(tf.constant(_MIRRORED_AXES)[orientation], 2)
    return tf.reverse(pixels, tf.slice([0, 1], first, count))


def turn_size(size: Any, orientation: Any) -> tf.Tensor:
    """Height and width of the upright image from those in the file, and vice versa.

    Args:
        size: int32 `(2,)`.
        orientation: int32 scalar, 1 to 8.

    Example:

    >>> turn_size([480, 640], 6).numpy().tolist()
    [640, 480]
    """
    return tf.gather(size, tf.constant(_ORDERS)[orientation])


def window_in_file(window: Any, size: Any, orientation: Any) -> tf.Tensor:
    """Position in the file of a window of the upright image.

    Args:
        window: int32 `(4,)`, top, left, height and width in the upright image.
        size: int32 `(2,)`, height and width of the upright image.
        orientation: int32 scalar, 1 to 8.

    Returns:
        int32 `(4,)`, top, left, height and width in the file's pixels.

    Example:

    >>> window_in_file([0, 0, 10, 20], [640, 480], 6).numpy().tolist()
    [460, 0, 20, 10]
    """
    window, order = tf.reshape(window, (2, 2)), tf.constant(_ORDERS)[orientation]
    first, extent = window[0], window[1]
    first = tf.where(tf.constant(_MIRRORED)[orientation], size - first - extent, first)
    return tf.reshape(tf.gather(tf.stack([first, extent]), order, axis=1), (4,))


def turn_boxes(boxes: np.ndarray, orientation: int) -> np.ndarray:
    """Boxes in the upright image from boxes in the file.

    Args:
        boxes: `(n, 4)`, top, left, bottom and right as fractions of height and width
            (`"rel_yxyx"`).
        orientation: 1 to 8.

    Example:

    >>> turn_boxes(np.array([[0.0, 0.0, 0.25, 0.5]]), 6).tolist()
    [[0.0, 0.75, 0.5, 1.0]]
    """
    top, left, bottom, right = np.asarray(boxes).reshape(-1, 4).T
    if _ORDERS[orientation] == (1, 0):
        top, left, bottom, right = left, top, right, bottom
    vertical, horizontal = _MIRRORED[orientation]
    if vertical:
        top, bottom = 1 - bottom, 1 - top
    if horizontal:
        left, right = 1 - right, 1 - left
    return np.stack([top, left, bottom, right], axis=1)
