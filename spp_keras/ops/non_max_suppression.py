"""Non-maximum suppression of boxes, in a form that TFLite runs with built-in operations."""

from typing import Any


def nms(boxes: Any, scores: Any, max_detections: int, iou_threshold: float) -> tuple[Any, Any]:
    """Non-maximum suppression: keeps the best of boxes that overlap.

    Boxes are taken in order of their scores; each removes all later ones whose
    intersection over union with it is above the threshold. A box without area
    is removed, too. Unlike torchvision's `nms`, the output has a fixed length,
    so that it is part of a graph. TensorFlow only.

    Args:
        boxes: float32 `(n, 4)`, left, top, right and bottom; `n` may be 0.
        scores: float32 `(n,)`.
        max_detections: Most boxes that are kept.
        iou_threshold: Intersection over union above which a box is removed.

    Returns:
        The indices of the kept boxes, int32 `(max_detections,)`, the best first, filled up
        with `n`; and their number.

    Example:

    >>> import tensorflow as tf
    >>> boxes = tf.constant([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> indices, count = nms(boxes, tf.constant([0.5, 0.9, 0.7]), 3, 0.3)
    >>> indices.numpy().tolist(), int(count)
    ([1, 2, 3], 2)
    """
    # Not at the top: the other operations load without TensorFlow where Keras runs on JAX.
    import tensorflow as tf

    # One more box, without area, as TFLite's gather fails on none.
    boxes, scores = tf.pad(boxes, [[0, 1], [0, 0]]), tf.pad(scores, [[0, 1]])
    length = tf.shape(scores)[0]
    _, order = tf.math.top_k(scores, length)
    boxes = tf.gather(boxes, order)
    # TFLite's kernel repeats a box without area until `max_detections` is reached, and takes
    # equal scores in any order: so it gets ranks, below the threshold for boxes without area.
    has_area = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1) > 0
    ranks = tf.where(has_area, tf.cast(length - tf.range(length), tf.float32), 0.0)
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=ranks,
        max_output_size=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=0.5,
        # TFLite's kernel pads always.
        pad_to_max_output_size=True,
    )
    indices = tf.where(tf.range(max_detections) < count, tf.gather(order, kept), length - 1)
    return indices, count
