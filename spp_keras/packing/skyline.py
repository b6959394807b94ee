"""Rectangles laid on strips, each as high up as it fits: the bottom-left skyline heuristic."""

from typing import Any

import tensorflow as tf

_BLOCKED = 2.0**30


def place_on_strips(
    sizes: Any, occupied: Any, strip_widths: Any, num_strips: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lays rectangles on strips side by side, in their order, for several widths of strips.

    The skyline of a strip is how far down each of its columns is occupied. A rectangle goes
    where it lies highest, and there to the first place. All is counted in cells of a grid.

    Args:
        sizes: int32 `(n, 2)`, rows and columns of each rectangle.
        occupied: int32 `(n, 2)`, rows and columns that no other may begin in, as many as its
            own or more. Those beyond its own may lie beyond the strip.
        strip_widths: int32 `(candidates,)`, columns of a strip, enough for each rectangle.
        num_strips: int32 `(candidates,)`, strips of each candidate.

    Returns:
        int32 `(n, candidates, 3)`, strip, row and column of each rectangle; and int32
        `(candidates,)`, rows that a strip needs.

    Example:

    >>> sizes = tf.constant([[2, 2], [2, 1], [1, 3]])
    >>> places, rows = place_on_strips(sizes, sizes, tf.constant([3]), tf.constant([1]))
    >>> places.numpy()[:, 0].tolist(), rows.numpy().tolist()
    ([[0, 0, 0], [0, 0, 2], [0, 2, 0]], [3])
    """
    count = tf.shape(sizes)[0]
    # Columns behind a strip for what is occupied beyond it, and as many at the end as windows.
    pitch = strip_widths + tf.reduce_max(occupied[:, 1] - sizes[:, 1])
    columns = tf.range(tf.reduce_max(pitch * num_strips))[:, tf.newaxis]
    # Columns from each to the end of its strip; none beyond the last strip.
    room = tf.where(columns < pitch * num_strips, strip_widths - columns % pitch, 0)
    # TensorFlow's pooling is the quickest maximum of windows, and takes floats.
    margins = [[0, tf.reduce_max(occupied[:, 1])], [0, 0]]
    heights, occupied_heights = (tf.cast(x[:, 0], tf.float32) for x in (sizes, occupied))

    def place(index: Any, skyline: Any, rows: Any, places: Any) -> tuple[Any, ...]:
        span = occupied[index, 1]
        tops = _slide_maximum(skyline, span)[: tf.shape(columns)[0]]
        tops = tf.where(room >= sizes[index, 1], tops, _BLOCKED)
        column = tf.argmin(tops, axis=0, output_type=tf.int32)
        top = tf.reduce_min(tops, axis=0)
        ahead = columns - column
        covered = (ahead >= 0) & (ahead < span)
        skyline = tf.where(tf.pad(covered, margins), top + occupied_heights[index], skyline)
        rows = tf.maximum(rows, top + heights[index])
        place = tf.stack([column // pitch, tf.cast(top, tf.int32), column % pitch], axis=1)
        return index + 1, skyline, rows, places.write(index, place)

    state = (
        0,
        tf.pad(tf.zeros_like(room, tf.float32), margins),
        tf.zeros(tf.shape(strip_widths)),
        tf.TensorArray(tf.int32, count, element_shape=(None, 3)),
    )
    _, _, rows, places = tf.while_loop(
        lambda index, *_: index < count, place, state, parallel_iterations=1
    )
    return places.stack(), tf.cast(rows, tf.int32)


def _slide_maximum(values: Any, length: Any) -> tf.Tensor:
    """Maxima of the windows of so many rows."""
    window = [1, 1, length, 1]
    pooled = tf.raw_ops.MaxPoolV2(
        input=values[tf.newaxis, tf.newaxis], ksize=window, strides=[1] * 4, padding="VALID"
    )
    # The kernel's shape is unknown.
    return tf.ensure_shape(pooled[0, 0], (None, values.shape[1]))
