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


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: `(n, m)`.

    Args:
        a: `(n, 4)`.
        b: `(m, 4)`.

    Example:

    >>> box_iou(np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 5], [20, 20, 30, 30]])).tolist()
    [[0.5, 0.0]]
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(box[:, 2:] - box[:, :2], 0, None), axis=1) for box in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
