"""Pooling of windows of feature maps, at a cost that does not depend on their area.

Feature maps are `(batch, height, width, channels)`. Windows are `(n, 4)` ints:
first row, first column, and the row and column after the last. `batch_indices`,
`(n,)`, is the index of the feature map of each.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from spp_keras import geometry
from spp_keras.ops import _grid_pooling

# Along each axis the table has blocks of up to so many lengths: every length
# 1, 2, ... 10 where no bin is longer and that is cheaper, or 1, 2, 4, ... 512.
_MAX_LENGTHS = 10
MAX_SIDE = 2**_MAX_LENGTHS - 1
_LOG2 = np.array([0, *(n.bit_length() - 1 for n in range(1, MAX_SIDE + 1))], "int32")


class BinGrid(NamedTuple):
    """The bins of every window: first rows and rows after the last `(n, rows)`, columns alike."""

    row_starts: Any
    row_stops: Any
    column_starts: Any
    column_stops: Any


def max_windows(
    features: Any, windows: Any, batch_indices: Any, levels: Sequence[geometry.Level]
) -> Any:
    """The pyramid of maxima of each window: `(n, bins * channels)`.

    Levels that a finer one gives are pooled from it.
    """
    _, height, width, channels = ops.shape(features)
    roots = [step.level for step in geometry.derive_levels(levels) if step.source is None]
    bins = sum(levels[root][0] * levels[root][1] for root in roots)
    tallest = geometry.longest_bin(height, min(levels[root][0] for root in roots))
    widest = geometry.longest_bin(width, min(levels[root][1] for root in roots))
    # Every height costs a feature map for each of some four widths; it saves half the look-ups.
    every_height = _both(
        tallest <= _MAX_LENGTHS,
        tallest * ops.shape(features)[0] * height * width <= bins * ops.shape(windows)[0],
    )
    bin_grids = [
        BinGrid(
            *_bin_edges(windows[:, 0], windows[:, 2], levels[root][0]),
            *_bin_edges(windows[:, 1], windows[:, 3], levels[root][1]),
        )
        for root in roots
    ]
    maxima = max_bins(features, bin_grids, batch_indices, tallest, widest, every_height)
    grids, first = {}, 0
    for root in roots:
        rows, columns = levels[root]
        grid = maxima[:, first : first + rows * columns] if len(roots) > 1 else maxima
        grids[root] = ops.reshape(grid, (-1, rows, columns, channels))
        first += rows * columns
    return _grid_pooling.flatten_grids(_grid_pooling.coarsen_grids(grids, levels), levels, channels)


def max_bins(
    features: Any,
    bin_grids: Sequence[BinGrid],
    batch_indices: Any,
    tallest: Any,
    widest: Any,
    every_height: Any = False,
) -> Any:
    """The maximum of each bin of some grids: `(n, bins of all grids, channels)`.

    A table holds, for every cell, the maxima over blocks of some heights and
    widths that start there. A bin is the maximum of two blocks of its own
    height, side by side or overlapping, where the table has that height, and
    of four otherwise.

    Args:
        features: Feature maps.
        bin_grids: Bins, none of them empty.
        batch_indices: `(n,)`, the feature map of each window.
        tallest: Most rows of any bin.
        widest: Most columns of any bin.
        every_height: Whether the table has every height, at most `_MAX_LENGTHS`, or
            powers of two.
    """
    _, height, width, channels = ops.shape(features)
    heights = [_where(every_height, k + 1, 2**k) for k in range(_MAX_LENGTHS)]
    widths = [2**k for k in range(_MAX_LENGTHS)]
    blocks, row_offsets = _block_maxima(
        ops.reshape(features, (-1, channels)), width, heights, tallest
    )
    blocks, column_offsets = _block_maxima(blocks, 1, widths, widest)

    upper, lower = [], []
    for start, stop, left, right in bin_grids:
        length_index = _where(every_height, stop - start - 1, ops.take(_LOG2, stop - start))
        origin = ops.take(row_offsets, length_index) + (batch_indices * height * width)[:, None]
        top = origin + start * width
        bottom = origin + (stop - ops.take(_stack(heights), length_index)) * width

        length_index = ops.take(_LOG2, right - left)
        offset = ops.take(column_offsets, length_index)
        first = offset + left
        second = offset + right - ops.take(_stack(widths), length_index)
        upper.append((_pairs(top, first), _pairs(top, second)))
        lower.append((_pairs(bottom, first), _pairs(bottom, second)))

    maxima = _look_up(blocks, upper)
    return _cond(
        every_height,
        lambda: maxima,
        lambda: ops.maximum(maxima, _look_up(blocks, lower)),
    )


def average_windows(
    features: Any, windows: Any, batch_indices: Any, levels: Sequence[geometry.Level]
) -> Any:
    """The pyramid of means of each window: `(n, bins * channels)`.

    A bin's sum is four look-ups in a table of running sums. In float32 those
    lose the digits of small bins of large feature maps, so each value is summed in
    two parts: whole multiples of a unit so large that their sums are exact, and
    the rest, so small that its rounding does not matter.
    """
    _, height, width, channels = ops.shape(features)
    dtype = features.dtype
    sum_dtype = "float64" if dtype == "float64" else "float32"
    x = ops.cast(features, sum_dtype)
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=(1, 2, 3), keepdims=True, initial=0))
    unit = largest * ops.cast(height * width, sum_dtype) / 2.0**24
    unit = ops.where(unit > 0, unit, ops.ones_like(unit))
    coarse = ops.stop_gradient(ops.round(x / unit))
    parts = ops.concatenate([coarse, x - coarse * unit], axis=-1)
    parts = ops.pad(parts, ((0, 0), (1, 0), (1, 0), (0, 0)))
    sums = ops.reshape(ops.cumsum(ops.cumsum(parts, axis=1), axis=2), (-1, 2 * channels))

    grids = {}
    for level, (rows, columns) in enumerate(levels):
        top, bottom = _bin_edges(windows[:, 0], windows[:, 2], rows)
        left, right = _bin_edges(windows[:, 1], windows[:, 3], columns)
        area = _pairs(bottom - top, right - left, operator.mul)
        first = (batch_indices * (height + 1))[:, None]
        top, bottom = (first + top) * (width + 1), (first + bottom) * (width + 1)
        corners = ops.take(sums, _pairs(bottom, right), axis=0)
        corners -= ops.take(sums, _pairs(top, right), axis=0)
        corners -= ops.take(sums, _pairs(bottom, left), axis=0)
        corners += ops.take(sums, _pairs(top, left), axis=0)
        units = ops.reshape(ops.take(unit, batch_indices, axis=0), (-1, 1, 1))
        total = corners[..., :channels] * units + corners[..., channels:]
        grid = total / ops.cast(area, sum_dtype)[..., None]
        grids[level] = ops.cast(grid, dtype)
    return _grid_pooling.flatten_grids(grids, levels, channels)


def _bin_edges(low: Any, high: Any, bins: int) -> tuple[Any, Any]:
    index = np.arange(bins, dtype="int32")[None, :]
    start, stop = geometry.bin_edges(index, (high - low)[:, None], bins)
    return start + low[:, None], stop + low[:, None]


def _pairs(rows: Any, columns: Any, combine: Any = operator.add) -> Any:
    """`(n, rows)` and `(n, columns)` to `(n, rows * columns)`."""
    grid = combine(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    return ops.reshape(grid, (-1, rows.shape[1] * columns.shape[1]))


def _block_maxima(
    cells: Any, cell_step: int, lengths: Sequence[Any], longest: Any
) -> tuple[Any, Any]:
    """Maxima over runs of cells `cell_step` apart, for each length up to `longest`.

    Returns the tables of all lengths in one, `(entries, channels)`, and the offset of
    each. A run that leaves its row or its feature map wraps into the next; no bin uses it.
    """
    tables, offsets = [cells], [0]
    for before, length in itertools.pairwise(lengths):
        table = tables[-1]
        entries = ops.shape(table)[0]
        offsets.append(offsets[-1] + entries)
        used = length <= longest
        if _is_known(used) and not used:
            # An empty table, which TFLite's delegate refuses; no bin uses it or a longer one.
            continue
        shift = (length - before) * cell_step
        count = _where(used, _where(entries > shift, entries - shift, 0), 0)
        tables.append(ops.maximum(table[:count], table[shift : shift + count]))
    return ops.concatenate(tables, axis=0), _stack(offsets)


def _look_up(blocks: Any, places: Sequence[tuple[Any, Any]]) -> Any:
    left, right = (ops.concatenate(part, axis=1) for part in zip(*places, strict=True))
    return ops.maximum(ops.take(blocks, left, axis=0), ops.take(blocks, right, axis=0))


# Sides of a feature map are ints where they are known and tensors where they are not.


def _is_known(condition: Any) -> bool:
    return isinstance(condition, bool | np.bool_)


def _both(a: Any, b: Any) -> Any:
    if _is_known(a) and _is_known(b):
        return a and b
    return ops.logical_and(a, b)


def _where(condition: Any, if_true: Any, if_false: Any) -> Any:
    if _is_known(condition):
        return if_true if condition else if_false
    return ops.where(condition, if_true, if_false)


def _cond(condition: Any, if_true: Any, if_false: Any) -> Any:
    if _is_known(condition):
        return if_true() if condition else if_false()
    return ops.cond(condition, if_true, if_false)


def _stack(values: Sequence[Any]) -> Any:
    return ops.stack([ops.cast(value, "int32") for value in values])
