"""The detections in one image: the one type that detectors, metrics and predictors share."""

from typing import NamedTuple

import numpy as np

_NO_BOXES = np.zeros((0, 4), "float32")
_NO_SCORES = np.zeros(0, "float32")
_NO_CLASSES = np.zeros(0, "int32")


class Detections(NamedTuple):
    """Detections in one image, the best first.

    Args:
        boxes: float32 `(n, 4)`, left, top, right and bottom in pixels of the image, ends
            exclusive.
        scores: float32 `(n,)`.
        classes: int32 `(n,)`, class indices.
        labels: Class name of each detection, where the names are known. Defaults to `()`.
        error: Why there are no detections, such as a file that cannot be decoded. Defaults
            to `None`.

    Example:

    >>> detections = Detections(np.array([[5, 5, 40, 15]]), np.array([0.9]), np.array([1]))
    >>> len(detections.scores), len(Detections(error="is no image").scores)
    (1, 0)
    """

    boxes: np.ndarray = _NO_BOXES
    scores: np.ndarray = _NO_SCORES
    classes: np.ndarray = _NO_CLASSES
    labels: tuple[str, ...] = ()
    error: str | None = None
