"""How the images of a batch lie on canvases: the candidate with the fewest pixels."""

from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.canvas_rules import CanvasRules
from spp_keras.packing import skyline

# Numbers of canvases that are tried. Kernels of TensorFlow for CPUs divide their work by items of
# a batch: a training step of ZF-5 took so much longer for each pixel of so many canvases than for
# one of sixteen images (benchmarks/results/packing.md).
_COST_OF_PIXEL = {1: 1.25, 2: 1.1, 3: 1.08, 4: 1.05}
# Widths of canvases that are tried, as multiples of the side of a square canvas.
_WIDTHS = tuple(0.6 + 0.1 * index for index in range(13))
# A canvas has at most about so many cells of the grid that images are laid on along a side.
_GRID_CELLS = 160


class CanvasLayout(NamedTuple):
    """Where the images of a batch lie on canvases of one size.

    Args:
        canvases: Number of canvases.
        height: Height of each in pixels.
        width: Width of each in pixels.
        placements: int32 `(images, 5)`: canvas, top, left, height and width of each image.
        step: Pixels that lefts and widths of canvases are multiples of.
    """

    canvases: Any
    height: Any
    width: Any
    placements: Any
    step: Any


def plan_canvases(sizes: Any, rules: CanvasRules) -> CanvasLayout:
    """Lays images on canvases so that the canvases have few pixels, in TensorFlow operations."""
    sizes = tf.cast(sizes, tf.int32)
    order = tf.argsort(-(sizes[:, 0] * 65536 + sizes[:, 1]), stable=True)
    ordered = tf.gather(sizes, order)
    footprints = tf.stack(rules.footprint(ordered[:, 0], ordered[:, 1], tf.maximum), axis=1)
    area = tf.reduce_sum(tf.cast(tf.reduce_prod(footprints, axis=1), tf.float32))
    side = tf.maximum(tf.sqrt(area), tf.cast(tf.reduce_max(footprints), tf.float32))
    step = rules.stride * tf.maximum(
        1, tf.cast(tf.math.ceil(side / (rules.stride * _GRID_CELLS)), tf.int32)
    )
    cells, occupied = _divide_up(ordered, step), _divide_up(footprints, step)
    strip_widths, num_strips = _list_candidates(cells, occupied)
    places, rows = skyline.place_on_strips(
        cells, occupied, strip_widths, num_strips
    )
    costs = tf.repeat(tf.constant(list(_COST_OF_PIXEL.values())), len(_WIDTHS))
    costs *= tf.cast(rows * strip_widths * num_strips, tf.float32)
    best = tf.argmin(costs, output_type=tf.int32)
    place = places[:, best]
    # One image a canvas, where they are alike.
    count = tf.shape(sizes)[0]
    largest = tf.reduce_max(sizes, axis=0)
    alone = tf.pad(tf.range(count)[:, tf.newaxis], [[0, 0], [0, 2]])
    padded_width = _divide_up(largest[1], step) * step
    padded_pixels = tf.cast(count * largest[0] * padded_width, tf.float32)
    is_alone = padded_pixels <= costs[best] * tf.cast(step * step, tf.float32)
    corners = tf.gather(place * [1, step, step], tf.argsort(order))
    return CanvasLayout(
        tf.where(is_alone, count, num_strips[best]),
        tf.where(is_alone, largest[0], rows[best] * step),
        tf.where(is_alone, padded_width, strip_widths[best] * step),
        tf.concat([tf.where(is_alone, alone, corners), sizes], axis=1),
        step,
    )


def _list_candidates(cells: Any, occupied: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Widths and numbers of strips."""
    area = tf.cast(tf.reduce_sum(tf.reduce_prod(occupied, axis=1)), tf.float32)
    numbers = tf.repeat(tf.constant(list(_COST_OF_PIXEL), tf.int32), len(_WIDTHS))
    factors = tf.tile(tf.constant(_WIDTHS), [len(_COST_OF_PIXEL)])
    widths = tf.sqrt(area / tf.cast(numbers, tf.float32)) * factors
    return tf.maximum(tf.cast(widths, tf.int32), tf.reduce_max(cells[:, 1])), numbers


def _divide_up(pixels: Any, step: Any) -> Any:
    return (pixels + step - 1) // step
