"""Matching of boxes to ground truth by intersection over union."""

from typing import NamedTuple

import numpy as np

FOREGROUND, BACKGROUND, IGNORED = 1, 0, -1


class Matches(NamedTuple):
    """The ground truth that each of n boxes matches.

    Args:
        indices: int `(n,)`, index of the ground truth with the highest IoU, the first of
            equal ones; 0 where there is no ground truth.
        labels: int8 `(n,)`: 1 for foreground, 0 for background, -1 for neither.
    """

    indices: np.ndarray
    labels: np.ndarray


def match_boxes(
    iou: np.ndarray,
    foreground_iou: float,
    background_iou: tuple[float, float] | None = None,
    *,
    allow_low_quality: bool = False,
) -> Matches:
    """Matches each box to the ground truth that it overlaps most.

    Args:
        iou: `(n, m)`, intersection over union of n boxes with m ground-truth boxes, see
            `box_iou`; m may be 0.
        foreground_iou: IoU from which a box is foreground.
        background_iou: Lower and upper end of the IoU of the background, the upper one
            exclusive. Defaults to `None`, all below `foreground_iou`.
        allow_low_quality: Whether the boxes with the highest IoU with a ground truth are
            foreground however low that is, so that no ground truth is without a box.
            Defaults to `False`.

    Example:

    >>> match_boxes(np.array([[0.7, 0.1], [0.2, 0.4], [0.0, 0.2]]), 0.5, (0.0, 0.3))
    Matches(indices=array([0, 1, 1]), labels=array([ 1, -1,  0], dtype=int8))
    """
    iou = np.asarray(iou)
    count, num_gt = iou.shape
    highest = iou.max(axis=1, initial=0.0)
    low, high = background_iou or (0.0, foreground_iou)
    labels = np.full(count, IGNORED, "int8")
    labels[(highest >= low) & (highest < high)] = BACKGROUND
    labels[highest >= foreground_iou] = FOREGROUND
    if allow_low_quality and num_gt and count:
        best = iou.max(axis=0)
        labels[((iou == best) & (best > 0)).any(axis=1)] = FOREGROUND
    indices = iou.argmax(axis=1) if num_gt else np.zeros(count, int)
    return Matches(indices, labels)
