"""Pyramid pooling of windows of feature maps, at a cost that no window's area enters.

Maps are `(batch, height, width, channels)`. Windows are `(windows, 4)` ints:
first row, first column, and the row and column after the last. `items`,
`(windows,)`, is the map that each is cut from.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from spp_keras import geometry
from spp_keras.layers import _pyramid_pooling

# Along each axis the table has blocks of up to so many lengths: every length
# 1, 2, ... 10 where no bin is longer and that is the cheaper way, or 1, 2, 4, ... 512.
_MOST_LENGTHS = 10
LONGEST_SIDE = 2**_MOST_LENGTHS - 1
_LOG2 = np.array([0, *(n.bit_length() - 1 for n in range(1, LONGEST_SIDE + 1))], "int32")


def max_windows(x: Any, windows: Any, items: Any, levels: Sequence[geometry.Level]) -> Any:
    """The pyramid of maxima of each window: `(windows, bins * channels)`.

    A table holds, for every cell, the maxima over blocks of some heights and
    widths that start there. A bin is the maximum of two blocks of its own
    height, side by side or overlapping, where the table has that height, and
    of four otherwise. Levels that a finer one gives are pooled from it.
    """
    _, height, width, channels = ops.shape(x)
    roots = [step.level for step in geometry.derive_levels(levels) if step.source is None]
    bins = sum(levels[root][0] * levels[root][1] for root in roots)
    tallest = geometry.longest_bin(height, min(levels[root][0] for root in roots))
    widest = geometry.longest_bin(width, min(levels[root][1] for root in roots))
    # Every height costs a map for each of some four widths; it saves half the look-ups.
    every_height = _both(
        tallest <= _MOST_LENGTHS,
        tallest * ops.shape(x)[0] * height * width <= bins * ops.shape(windows)[0],
    )
    heights = [_where(every_height, k + 1, 2**k) for k in range(_MOST_LENGTHS)]
    widths = [2**k for k in range(_MOST_LENGTHS)]

    flat = ops.reshape(x, (-1, channels))
    blocks, row_offsets = _block_maxima(flat, width, heights, tallest)
    blocks, column_offsets = _block_maxima(blocks, 1, widths, widest)

    upper, lower = [], []
    for root in roots:
        rows, columns = levels[root]
        start, stop = _edges(windows[:, 0], windows[:, 2], rows)
        which = _where(every_height, stop - start - 1, ops.take(_LOG2, stop - start))
        origin = ops.take(row_offsets, which) + (items * height * width)[:, None]
        top = origin + start * width
        bottom = origin + (stop - ops.take(_stack(heights), which)) * width

        start, stop = _edges(windows[:, 1], windows[:, 3], columns)
        which = ops.take(_LOG2, stop - start)
        left = ops.take(column_offsets, which) + start
        right = left + (stop - start) - ops.take(_stack(widths), which)
        upper.append((_pairs(top, left), _pairs(top, right)))
        lower.append((_pairs(bottom, left), _pairs(bottom, right)))

    maxima = _look_up(blocks, upper)
    maxima = _cond(
        every_height,
        lambda: maxima,
        lambda: ops.maximum(maxima, _look_up(blocks, lower)),
    )
    grids, first = {}, 0
    for root in roots:
        rows, columns = levels[root]
        grid = maxima[:, first : first + rows * columns] if len(roots) > 1 else maxima
        grids[root] = ops.reshape(grid, (-1, rows, columns, channels))
        first += rows * columns
    return _pyramid_pooling.flatten_grids(_pyramid_pooling.coarsen(grids, levels), levels, channels)


def average_windows(x: Any, windows: Any, items: Any, levels: Sequence[geometry.Level]) -> Any:
    """The pyramid of means of each window: `(windows, bins * channels)`.

    A bin's sum is four look-ups in a table of running sums. In float32 those
    lose the digits of small bins of large maps, so each value is summed in two
    parts: whole multiples of a unit so large that their sums are exact, and
    what is left, so small that its rounding does not show.
    """
    _, height, width, channels = ops.shape(x)
    dtype = x.dtype
    wide = "float64" if dtype == "float64" else "float32"
    x = ops.cast(x, wide)
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=(1, 2, 3), keepdims=True, initial=0))
    unit = largest * ops.cast(height * width, wide) / 2.0**24
    unit = ops.where(unit > 0, unit, ops.ones_like(unit))
    coarse = ops.stop_gradient(ops.round(x / unit))
    parts = ops.concatenate([coarse, x - coarse * unit], axis=-1)
    parts = ops.pad(parts, ((0, 0), (1, 0), (1, 0), (0, 0)))
    sums = ops.reshape(ops.cumsum(ops.cumsum(parts, axis=1), axis=2), (-1, 2 * channels))

    grids = {}
    for level, (rows, columns) in enumerate(levels):
        top, bottom = _edges(windows[:, 0], windows[:, 2], rows)
        left, right = _edges(windows[:, 1], windows[:, 3], columns)
        area = _pairs(bottom - top, right - left, operator.mul)
        first = (items * (height + 1))[:, None]
        top, bottom = (first + top) * (width + 1), (first + bottom) * (width + 1)
        corners = ops.take(sums, _pairs(bottom, right), axis=0)
        corners -= ops.take(sums, _pairs(top, right), axis=0)
        corners -= ops.take(sums, _pairs(bottom, left), axis=0)
        corners += ops.take(sums, _pairs(top, left), axis=0)
        units = ops.reshape(ops.take(unit, items, axis=0), (-1, 1, 1))
        total = corners[..., :channels] * units + corners[..., channels:]
        grid = total / ops.cast(area, wide)[..., None]
        grids[level] = ops.cast(grid, dtype)
    return _pyramid_pooling.flatten_grids(grids, levels, channels)


def _edges(low: Any, high: Any, bins: int) -> tuple[Any, Any]:
    index = np.arange(bins, dtype="int32")[None, :]
    start, stop = geometry.bin_edges(index, (high - low)[:, None], bins)
    return start + low[:, None], stop + low[:, None]


def _pairs(rows: Any, columns: Any, combine: Any = operator.add) -> Any:
    """`(windows, rows)` and `(windows, columns)` to `(windows, rows * columns)`."""
    grid = combine(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    return ops.reshape(grid, (-1, rows.shape[1] * columns.shape[1]))


def _block_maxima(cells: Any, unit: int, lengths: Sequence[Any], longest: Any) -> tuple[Any, Any]:
    """Maxima over runs of cells `unit` apart, for each length up to `longest`.

    One table after the other, `(entries, channels)`, and where each begins. A
    run that leaves its row or its map wraps into the next; nobody looks it up.
    """
    tables, offsets = [cells], [0]
    for before, length in itertools.pairwise(lengths):
        table = tables[-1]
        entries = ops.shape(table)[0]
        offsets.append(offsets[-1] + entries)
        fits = length <= longest
        if _is_known(fits) and not fits:
            # Empty, which TFLite's delegate refuses; nobody looks up this one or a longer one.
            continue
        shift = (length - before) * unit
        kept = _where(fits, _where(entries > shift, entries - shift, 0), 0)
        tables.append(ops.maximum(table[:kept], table[shift : shift + kept]))
    return ops.concatenate(tables, axis=0), _stack(offsets)


def _look_up(blocks: Any, places: Sequence[tuple[Any, Any]]) -> Any:
    left, right = (ops.concatenate(part, axis=1) for part in zip(*places, strict=True))
    return ops.maximum(ops.take(blocks, left, axis=0), ops.take(blocks, right, axis=0))


# Sides of a map are ints where they are known and tensors where they are not.


def _is_known(condition: Any) -> bool:
    return isinstance(condition, bool | np.bool_)


def _both(a: Any, b: Any) -> Any:
    if _is_known(a) and _is_known(b):
        return a and b
    return ops.logical_and(a, b)


def _where(condition: Any, yes: Any, no: Any) -> Any:
    if _is_known(condition):
        return yes if condition else no
    return ops.where(condition, yes, no)


def _cond(condition: Any, yes: Any, no: Any) -> Any:
    if _is_known(condition):
        return yes() if condition else no()
    return ops.cond(condition, yes, no)


def _stack(values: Sequence[Any]) -> Any:
    return ops.stack([ops.cast(value, "int32") for value in values])
