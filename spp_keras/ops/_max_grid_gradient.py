"""The gradient of grids of maxima: each bin's goes to the first of its cells that attains it.

First means in the first such row the first such column. Bins and cells are found by their
numbers, and only those cells are written to: the cost is that of one map of zeros, a look at
every cell of a row of each bin, and one addition a bin. Comparing all cells of the maps
with their maxima instead takes two to three times as long on large maps.

Cells are `(cells, channels)`, maps of any sizes one after the other or with gaps between
them. `MapLayout` tells where they lie.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import geometry


class MapLayout(NamedTuple):
    """Where feature maps lie in a table of cells.

    Attributes:
        first_cells: `(maps,)`, the number of each map's first cell.
        row_steps: Cells from a row of a map to its next, an int or `(maps,)`.
        sizes: `(maps, 2)`, rows and columns of each map.
        bounds: Rows and columns that no map exceeds, ints where they are known.
    """

    first_cells: Any
    row_steps: Any
    sizes: Any
    bounds: tuple[Any, Any]


def find_maxima(cells: Any, layout: MapLayout, strips: Any, first_rows: Any, grids: Any) -> Any:
    """Numbers of the values that the bins of a level get their maxima from.

    Value `cell * channels + channel` is a cell's value of a channel. They are int32: the
    cells may hold 2**31 values, 8 GB in float32.

    Args:
        cells: All cells, `(cells, channels)`.
        layout: Where the maps lie.
        strips: Maxima over the bins of columns in each row, `(rows, columns, channels)`.
        first_rows: `(maps,)`, the number of each map's first row in `strips`.
        grids: Maxima of the bins, `(maps, rows, columns, channels)`.

    Returns:
        int32, of the shape of `grids`.
    """
    rows, columns, channels = grids.shape[1:]
    heights, widths = layout.sizes[:, 0], layout.sizes[:, 1]
    first_cells = layout.first_cells[:, None, None, None]
    row_steps = tf.reshape(layout.row_steps, (-1, 1, 1, 1))

    # Bins in rows: all channels of a strip at a time.
    starts, lengths, longest = _bins(heights, rows, layout.bounds[0])
    steps = _steps(lengths, longest)
    candidates = tf.gather(
        tf.reshape(strips, (-1, columns * channels)),
        (first_rows[:, None] + starts)[..., None] + steps,
    )
    candidates = tf.reshape(candidates, (-1, longest, columns * channels))
    step = _first_equal(candidates, tf.reshape(grids, (-1, 1, columns * channels)), longest, 1)
    step = tf.reshape(step, (-1, rows, columns, channels))
    row = starts[:, :, None, None] + tf.minimum(step, lengths[:, :, None, None] - 1)

    # In the row that each bin and channel has now: value by value.
    starts, lengths, longest = _bins(widths, columns, layout.bounds[1])
    steps = _steps(lengths, longest)[:, None, :, :, None] * channels
    cell = first_cells + row * row_steps + starts[:, None, :, None]
    first = cell * channels + tf.range(channels)
    # `gather_nd` takes single values in two thirds of the time of `gather`.
    candidates = tf.gather_nd(
        tf.reshape(cells, (-1,)), (first[:, :, :, None, :] + steps)[..., None]
    )
    step = _first_equal(candidates, grids[:, :, :, None, :], longest, 3)
    return first + tf.minimum(step, lengths[:, None, :, None] - 1) * channels


def add_at(places: Any, values: Any, cells: Any) -> Any:
    """Zeros in the shape of `cells`, with values added at these places, both `(values,)`."""
    count = tf.size(cells) if None in cells.shape else cells.shape.num_elements()
    sums = tf.math.unsorted_segment_sum(values, places, count)
    return tf.reshape(sums, tf.shape(cells))


def _bins(extents: Any, bins: int, bound: Any) -> tuple[Any, Any, Any]:
    """First cells and lengths of the bins, `(maps, bins)`, and the most cells of any."""
    starts, stops = geometry.bin_edges(np.arange(bins, dtype="int32"), extents[:, None], bins)
    lengths = stops - starts
    # XLA wants it to be known; a tensor is tighter.
    known = isinstance(bound, int) and not tf.executing_eagerly()
    longest = geometry.longest_bin(bound, bins) if known else tf.maximum(tf.reduce_max(lengths), 1)
    return starts, lengths, longest


def _steps(lengths: Any, longest: Any) -> Any:
    """Cells of each bin from its first, `(maps, bins, longest)`; short bins repeat their last."""
    return tf.minimum(tf.range(longest), lengths[..., None] - 1)


def _first_equal(candidates: Any, maxima: Any, longest: Any, axis: int) -> Any:
    """The first index along the axis at which candidates equal the maxima."""
    ranks = longest - tf.range(longest)
    ranks = tf.reshape(ranks, (-1,) + (1,) * (len(candidates.shape) - axis - 1))
    return longest - tf.reduce_max(tf.where(candidates == maxima, ranks, 0), axis=axis)
