"""Images drawn on canvases."""

from typing import Any

import tensorflow as tf

from spp_keras.packing.layouts import CanvasLayout


def draw_canvases(pixels: Any, layout: CanvasLayout) -> tf.Tensor:
    """Canvases with images on them, from the pixels of the images one after the other.

    Args:
        pixels: `(pixels, channels)`, rows of the first image, of the second and so on.
        layout: Where the images lie.

    Returns:
        `(canvases, height, width, channels)` of the same dtype. What lies around images is
        any of the pixels.

    Example:

    >>> from spp_keras.canvas_rules import CanvasRules
    >>> from spp_keras.packing import plan_canvases
    >>> sizes = np.array([[1, 2], [3, 2]])
    >>> layout = plan_canvases(sizes, CanvasRules(stride=2))
    >>> canvases = draw_canvases(np.arange(8)[:, None], layout)
    >>> tuple(canvases.shape)
    (1, 5, 2, 1)
    """
    placements = layout.placements
    canvas, tops, lefts, heights, widths = (placements[:, i : i + 1] for i in range(5))
    starts = tf.cumsum(heights * widths, exclusive=True)
    # The pixel where each piece of a row of a canvas begins, a piece of `step` pixels: no piece
    # has pixels of two images.
    rows = tf.range(layout.canvases * layout.height)[tf.newaxis] - canvas * layout.height - tops
    columns = tf.range(layout.width // layout.step)[tf.newaxis] * layout.step - lefts
    in_rows = _as_float((rows >= 0) & (rows < heights))
    in_columns = _as_float((columns >= 0) & (columns < widths))
    row_starts = in_rows * _as_float(starts + rows * widths)
    firsts = tf.matmul(
        tf.concat([row_starts, in_rows], axis=0),
        tf.concat([in_columns, in_columns * _as_float(columns)], axis=0),
        transpose_a=True,
    )
    indices = tf.cast(firsts, tf.int32)[:, :, tf.newaxis] + tf.range(layout.step)
    indices = tf.minimum(indices, tf.shape(pixels)[0] - 1)
    canvases = tf.gather(pixels, tf.reshape(indices, (-1,)))
    shape = (layout.canvases, layout.height, layout.width, pixels.shape[-1])
    return tf.reshape(canvases, shape)


def _as_float(values: Any) -> tf.Tensor:
    # float32 does not hold the number of every pixel of a large batch.
    return tf.cast(values, tf.float64)
