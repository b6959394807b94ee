"""Of boxes that overlap, the best alone."""

from typing import Any

import tensorflow as tf


def non_max_suppression(
    boxes: Any, scores: Any, max_detections: int, iou_threshold: float
) -> tuple[Any, Any]:
    """Which boxes are left when each takes away the lesser ones that overlap it too much.

    A box without area is taken away, too.

    Args:
        boxes: float32 `(n, 4)`; `n` may be 0.
        scores: float32 `(n,)`.
        max_detections: How many are left at most.
        iou_threshold: Intersection over union above which a box is taken away.

    Returns:
        Their numbers, int32 `(most,)`, the best first and `n` where there are no more; and
        how many there are.

    Example:

    >>> boxes = tf.constant([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> kept, count = non_max_suppression(boxes, tf.constant([0.5, 0.9, 0.7]), 3, 0.3)
    >>> kept.numpy().tolist(), int(count)
    ([1, 2, 3], 2)
    """
    # One box more, of no area, as TFLite gathers nothing where there is none.
    boxes, scores = tf.pad(boxes, [[0, 1], [0, 0]]), tf.pad(scores, [[0, 1]])
    number = tf.shape(scores)[0]
    _, order = tf.math.top_k(scores, number)
    boxes = tf.gather(boxes, order)
    # TFLite's kernel repeats a box without area until there are `most`, and takes equal scores
    # in any order: so it gets ranks, and below the threshold what has no area.
    has_area = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1) > 0
    ranks = tf.where(has_area, tf.cast(number - tf.range(number), tf.float32), 0.0)
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=ranks,
        max_output_size=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=0.5,
        # The kernel of TFLite always does.
        pad_to_max_output_size=True,
    )
    return tf.where(tf.range(max_detections) < count, tf.gather(order, kept), number - 1), count
