"""How the images of a batch lie on canvases: the layout that costs least of some dozens."""

import math
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

    Example:

    >>> layout = plan_canvases(np.array([[30, 20], [30, 20]]), CanvasRules(stride=4))
    >>> int(layout.canvases), int(layout.height), int(layout.width), layout.step
    (2, 30, 20, 4)
    """

    canvases: Any
    height: Any
    width: Any
    placements: Any
    step: Any

    def count_pixels(self) -> tf.Tensor:
        """Pixels of all canvases, as a float."""
        shape = tf.stack([self.canvases, self.height, self.width])
        return tf.reduce_prod(tf.cast(shape, tf.float32))


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
    step, piece = _choose_step(footprints, rules.stride), math.gcd(rules.stride, _PIECE)
    cells, occupied = _divide_up(sizes, step), _divide_up(footprints, step)
    candidates = _list_candidates(occupied, cells, training)
    # One image a canvas is best where they are alike. The highest first; and the widest first,
    # for a training step, which takes long enough.
    layouts, prices = [separate_images(sizes, piece)], [tf.constant(1.0)]
    for by_width in (False, True) if training else (False,):
        number, corners, price = _pack(cells, occupied, step, *candidates, by_width)
        layouts.append(_make_layout(number, corners, sizes, piece))
        prices.append(price)
    best = tf.argmin([price * x.count_pixels() for x, price in zip(layouts, prices, strict=True)])
    chosen = CanvasLayout(*(tf.stack(values)[best] for values in zip(*layouts, strict=True)))
    return chosen._replace(step=piece)


def separate_images(sizes: Any, step: int = 1) -> CanvasLayout:
    """Lays each image on a canvas of its own, all as large as the largest height and width.

    Args:
        sizes: int32 `(images, 2)`, height and width of each image.
        step: Pixels that the width of canvases is a multiple of. Defaults to 1.

    Example:

    >>> layout = separate_images(tf.constant([[30, 40], [50, 20]]))
    >>> layout.placements.numpy().tolist()
    [[0, 0, 0, 30, 40], [1, 0, 0, 50, 20]]
    """
    count = tf.shape(sizes)[0]
    corners = tf.pad(tf.range(count)[:, tf.newaxis], [[0, 0], [0, 2]])
    return _make_layout(count, corners, sizes, step)


def _make_layout(canvases: Any, corners: Any, sizes: Any, step: int) -> CanvasLayout:
    """Canvases no larger than their images need."""
    height, width = tf.unstack(tf.reduce_max(corners[:, 1:] + sizes, axis=0))
    placements = tf.concat([corners, sizes], axis=1)
    return CanvasLayout(canvases, height, _divide_up(width, step) * step, placements, step)


def _choose_step(footprints: Any, stride: int) -> tf.Tensor:
    """A multiple of the stride by which canvases have not too many cells."""
    area = tf.reduce_sum(tf.reduce_prod(tf.cast(footprints, tf.float32), axis=1))
    side = tf.maximum(tf.sqrt(area), tf.cast(tf.reduce_max(footprints), tf.float32))
    return stride * tf.maximum(1, tf.cast(tf.math.ceil(side / (stride * _GRID_CELLS)), tf.int32))


def _list_candidates(
    occupied: Any, cells: Any, training: bool
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
    cells: Any,
    occupied: Any,
    step: Any,
    widths: Any,
    numbers: Any,
    prices: Any,
    by_width: bool,
) -> tuple[Any, tf.Tensor, Any]:
    """The candidate that costs least: number of canvases, corners, price of a pixel."""
    first, second = (cells[:, axis] for axis in ((1, 0) if by_width else (0, 1)))
    order = tf.argsort(-(tf.cast(first, tf.int64) * 2**32 + tf.cast(second, tf.int64)))
    places, rows = skyline.place_on_strips(
        tf.gather(cells, order), tf.gather(occupied, order), widths, numbers
    )
    best = tf.argmin(prices * tf.cast(rows * widths * numbers, tf.float32))
    corners = tf.gather(places[:, best], tf.argsort(order)) * [1, step, step]
    return numbers[best], corners, prices[best]


def _divide_up(pixels: Any, step: Any) -> Any:
    return (pixels + step - 1) // step
