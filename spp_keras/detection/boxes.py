"""Boxes as NumPy arrays: `(n, 4)`, left, top, right and bottom in pixels, ends exclusive."""

from typing import NamedTuple

import numpy as np

from spp_keras.data.sources import Objects


class Detections(NamedTuple):
    """What was found in one image.

    Args:
        boxes: `(n, 4)` float32.
        scores: `(n,)` float32.
        classes: `(n,)` int32, numbers of classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def object_boxes(objects: Objects, size: tuple[int, int]) -> np.ndarray:
    """Boxes of the objects of a record, in pixels.

    Args:
        objects: The objects, whose boxes are shares of the image.
        size: Height and width of the image.

    Example:

    >>> cat = Objects(np.array([[0.0, 0.25, 0.5, 1.0]]), np.array([0]), np.array([False]))
    >>> object_boxes(cat, (100, 200)).tolist()
    [[50.0, 0.0, 200.0, 50.0]]
    """
    height, width = size
    pixels = np.asarray(objects.boxes, "float32") * np.array([height, width] * 2, "float32")
    return pixels[:, [1, 0, 3, 2]]
