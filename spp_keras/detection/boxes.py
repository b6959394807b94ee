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


def of_objects(objects: Objects, size: tuple[int, int]) -> np.ndarray:
    """Boxes of the objects of a record, in pixels.

    Args:
        objects: The objects, whose boxes are shares of the image.
        size: Height and width of the image.

    Example:

    >>> cat = Objects(np.array([[0.0, 0.25, 0.5, 1.0]]), np.array([0]), np.array([False]))
    >>> of_objects(cat, (100, 200)).tolist()
    [[50.0, 0.0, 200.0, 50.0]]
    """
    height, width = size
    pixels = np.asarray(objects.boxes, "float32") * np.array([height, width] * 2, "float32")
    return pixels[:, [1, 0, 3, 2]]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: `(n, m)`.

    Args:
        a: `(n, 4)`.
        b: `(m, 4)`.

    Example:

    >>> iou(np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 5], [20, 20, 30, 30]])).tolist()
    [[0.5, 0.0]]
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(box[:, 2:] - box[:, :2], 0, None), axis=1) for box in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def suppress(found: Detections, overlap: float = 0.3) -> Detections:
    """Non-maximum suppression within each class, the best first.

    Args:
        found: The detections.
        overlap: Intersection over union above which a box gives way to one of a
            higher score. Defaults to 0.3, the paper's.

    Example:

    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], "float32")
    >>> found = Detections(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 0, 1]))
    >>> suppress(found).scores.tolist()
    [0.9, 0.7]
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes, classes = found.boxes[order], found.classes[order]
    kept: list[int] = []
    gone = np.zeros(len(order), bool)
    for i in range(len(order)):
        if gone[i]:
            continue
        kept.append(i)
        rest = np.flatnonzero((classes[i + 1 :] == classes[i]) & ~gone[i + 1 :]) + i + 1
        gone[rest[iou(boxes[i : i + 1], boxes[rest])[0] > overlap]] = True
    which = order[kept]
    return Detections(found.boxes[which], found.scores[which], found.classes[which])
