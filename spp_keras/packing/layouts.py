"""How the images of a batch lie on canvases: the layout that costs least of some dozens."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.canvas_rules import CanvasRules
from spp_keras.packing import skyline

# Numbers of canvases that are tried. Kernels of TensorFlow for CPUs divide the work of a training
# step by items of a batch, so few large ones take longer. This is the time for a pixel of so many
# canvases as a multiple of that for one of sixteen images, ZF-5 (benchmarks/results/packing.md).
# Without training it is the same for all.
_TRAINING_COSTS = {1: 1.25, 2: 1.1, 3: 1.08, 4: 1.05}
# Widths of canvases that are tried, as multiples of the side of a square: fewer where there are
# many images, among which some always fit.
_WIDTH_RANGE = (0.6, 1.8)
_FEWEST_WIDTHS, _MOST_WIDTHS, _WIDTHS_TIMES_IMAGES = 4, 13, 300
# A canvas has about so many cells at most along a side of the grid that images are laid on.
_GRID_CELLS = 160
# Images are drawn in pieces of rows of so many pixels, where strides allow it.
_PIECE = 4


class CanvasLayout(NamedTuple):
    """Where the images of a batch lie on canvases of one size.

    Args:
        canvases: Number of canvases.
        height: Height of each in pixels.
        width: Width of each in pixels.
        placements: int32 `(images, 5)`: canvas, top, left, height and width of each image.
        step: Pixels that lefts and the width of canvases are multiples of.
    """

    canvases: Any
    height: Any
    width: Any
    placements: Any
    step: Any


def plan_canvases(sizes: Any, rules: CanvasRules, training: bool = False) -> CanvasLayout:
    """Lays the images of a batch on canvases of one size, close together.

    The same sizes give the same layout. In TensorFlow operations, so in graphs, too.

    Args:
        sizes: int32 `(images, 2)`, height and width of each image.
        rules: Rules of the network, such as `model.get_layer("mixed_sizes").canvas_rules`.
        training: Whether the canvases are for training, which takes longer for few large
            ones. Defaults to `False`.

    Returns:
        A `CanvasLayout`; one image a canvas where images are alike.

    Example:

    >>> layout = plan_canvases(np.array([[30, 64], [30, 30], [60, 30]]), CanvasRules(stride=2))
    >>> int(layout.canvases), int(layout.height), int(layout.width)
    (1, 60, 94)
    >>> layout.placements.numpy().tolist()
    [[0, 0, 30, 30, 64], [0, 30, 30, 30, 30], [0, 0, 0, 60, 30]]
    """
    sizes = tf.cast(sizes, tf.int32)
    footprints = tf.stack(rules.footprint(sizes[:, 0], sizes[:, 1], tf.maximum), axis=1)
    step = _choose_step(footprints, rules.stride)
    cells, occupied = _divide_up(sizes, step), _divide_up(footprints, step)
    widths, numbers, prices = _list_candidates(cells, occupied, training)
    # The highest first; a training step takes long enough to try the widest first, too.
    packed, cost = _pack(cells, occupied, widths, numbers, prices)
    if training:
        other, other_cost = _pack(cells, occupied, widths, numbers, prices, by_width=True)
        packed, cost = _choose(other_cost < cost, other, packed), tf.minimum(cost, other_cost)
    separate, separate_cost = _separate(cells)
    canvases, corners = _choose(separate_cost <= cost, separate, packed)
    corners *= [1, step, step]
    placements = tf.concat([corners, sizes], axis=1)
    # No larger than the images need.
    height, width = tf.unstack(tf.reduce_max(corners[:, 1:] + sizes, axis=0))
    piece = math.gcd(rules.stride, _PIECE)
    return CanvasLayout(canvases, height, _divide_up(width, piece) * piece, placements, piece)


def _choose_step(footprints: Any, stride: int) -> tf.Tensor:
    """A multiple of the stride by which canvases have not too many cells."""
    area = tf.reduce_sum(tf.reduce_prod(tf.cast(footprints, tf.float32), axis=1))
    side = tf.maximum(tf.sqrt(area), tf.cast(tf.reduce_max(footprints), tf.float32))
    return stride * tf.maximum(1, tf.cast(tf.math.ceil(side / (stride * _GRID_CELLS)), tf.int32))


def _list_candidates(
    cells: Any, occupied: Any, training: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Widths and numbers of canvases, and what a pixel of each costs."""
    area = tf.cast(tf.reduce_sum(tf.reduce_prod(occupied, axis=1)), tf.float32)
    count = tf.clip_by_value(
        _WIDTHS_TIMES_IMAGES // tf.shape(cells)[0], _FEWEST_WIDTHS, _MOST_WIDTHS
    )
    numbers = tf.repeat(list(_TRAINING_COSTS), count)
    prices = tf.repeat([x if training else 1.0 for x in _TRAINING_COSTS.values()], count)
    factors = tf.tile(tf.linspace(*_WIDTH_RANGE, count), [len(_TRAINING_COSTS)])
    widths = tf.sqrt(area / tf.cast(numbers, tf.float32)) * factors
    return tf.maximum(tf.cast(widths, tf.int32), tf.reduce_max(cells[:, 1])), numbers, prices


def _pack(
    cells: Any, occupied: Any, widths: Any, numbers: Any, prices: Any, by_width: bool = False
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """The candidate that costs least: number of canvases, and corners; its cost."""
    first, second = (cells[:, axis] for axis in ((1, 0) if by_width else (0, 1)))
    order = tf.argsort(-(tf.cast(first, tf.int64) * 2**32 + tf.cast(second, tf.int64)))
    places, rows = skyline.place_on_strips(
        tf.gather(cells, order), tf.gather(occupied, order), widths, numbers
    )
    costs = prices * tf.cast(rows * widths * numbers, tf.float32)
    best = tf.argmin(costs, output_type=tf.int32)
    corners = tf.gather(places[:, best], tf.argsort(order))
    return (numbers[best], corners), costs[best]


def _separate(cells: Any) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """One image a canvas: number of canvases, and corners; its cost."""
    count, (rows, columns) = tf.shape(cells)[0], tf.unstack(tf.reduce_max(cells, axis=0))
    corners = tf.pad(tf.range(count)[:, tf.newaxis], [[0, 0], [0, 2]])
    return (count, corners), tf.cast(count * rows * columns, tf.float32)


def _choose(condition: Any, first: Sequence[Any], second: Sequence[Any]) -> tuple[tf.Tensor, ...]:
    return tuple(tf.where(condition, x, y) for x, y in zip(first, second, strict=True))


def _divide_up(pixels: Any, step: Any) -> Any:
    return (pixels + step - 1) // step
