"""Pyramid pooling of whole feature maps, written in operations of every backend.

Feature maps are `(batch, height, width, channels)`; `sizes` is `(batch, 2)`, the
valid rows and columns of each feature map, or `None` where all are valid.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from spp_keras import geometry


def max_pyramid(
    features: Any, levels: Sequence[geometry.Level], sizes: Any = None, masked: bool = True
) -> Any:
    """The pyramid of maxima: `(batch, bins * channels)`.

    Args:
        features: Feature maps.
        levels: `(rows, columns)` pairs.
        sizes: Valid rows and columns. Defaults to all.
        masked: Whether the cells that attain a bin's maximum share its gradient
            equally. If not, short bins are filled up by repeating their last cell:
            the maximum is the same and cheaper, but a tie would weigh that cell by
            the length of the longest bin.
    """
    grids = {
        step.level: max_grid(features, *levels[step.level], sizes, masked)[0]
        for step in geometry.derive_levels(levels)
        if step.source is None
    }
    return flatten_grids(coarsen_grids(grids, levels), levels, features.shape[-1])


def max_grid(
    features: Any, rows: int, columns: int, sizes: Any = None, masked: bool = True
) -> tuple[Any, Any]:
    """The grid of maxima of one level, `(batch, rows, columns, channels)`, and its strips.

    Strips are the maxima over bins of columns in each row of the feature maps,
    `(batch * height, columns, channels)`.
    """
    batch, height, width, channels = ops.shape(features)
    heights, widths = (None, None) if sizes is None else (sizes[:, 0], sizes[:, 1])
    if widths is not None:
        widths = ops.repeat(widths, height)
    lines = ops.reshape(features, (batch * height, width, channels))
    strips = bin_maxima(lines, columns, widths, masked)
    lines = ops.reshape(strips, (batch, height, columns * channels))
    grid = bin_maxima(lines, rows, heights, masked)
    return ops.reshape(grid, (batch, rows, columns, channels)), strips


def average_pyramid(features: Any, levels: Sequence[geometry.Level], sizes: Any = None) -> Any:
    """The pyramid of means: `(batch, bins * channels)`."""
    # Means are weighted sums: one small matrix product along each axis.
    # Half precision would round a sum over a whole feature map to three digits.
    batch, height, width, channels = ops.shape(features)
    dtype = features.dtype
    sum_dtype = "float64" if dtype == "float64" else "float32"
    heights, widths = (height, width) if sizes is None else (sizes[:, :1], sizes[:, 1:])
    row_counts = sorted({rows for rows, _ in levels})
    offsets = dict(zip(row_counts, np.cumsum([0, *row_counts]).tolist(), strict=False))
    weights = ops.concatenate(
        [_mean_weights(heights, height, rows, sum_dtype) for rows in row_counts], axis=-2
    )
    z = ops.reshape(ops.cast(features, sum_dtype), (batch, height, width * channels))
    strips = ops.matmul(weights, z)
    grids = {}
    for level, (rows, columns) in enumerate(levels):
        strip = strips[:, offsets[rows] : offsets[rows] + rows]
        z = ops.reshape(strip, (batch * rows, width, channels))
        weights = _mean_weights(widths, width, columns, sum_dtype)
        if sizes is not None:
            weights = ops.repeat(weights, rows, axis=0)
        grid = ops.reshape(ops.matmul(weights, z), (batch, rows, columns, channels))
        grids[level] = ops.cast(grid, dtype)
    return flatten_grids(grids, levels, channels)


def zero_padding(features: Any, sizes: Any) -> Any:
    """Feature maps with zeros beyond each one's valid size, whatever was there."""
    _, height, width, _ = ops.shape(features)
    rows = ops.arange(height, dtype="int32")[None, :] < sizes[:, :1]
    columns = ops.arange(width, dtype="int32")[None, :] < sizes[:, 1:]
    inside = ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    return ops.where(ops.expand_dims(inside, 3), features, ops.zeros((), dtype=features.dtype))


def flatten_grids(grids: dict[int, Any], levels: Sequence[geometry.Level], channels: int) -> Any:
    """One vector an item from its grids, `(items, rows, columns, channels)` a level."""
    return ops.concatenate(
        [
            ops.reshape(grids[level], (-1, rows * columns * channels))
            for level, (rows, columns) in enumerate(levels)
        ],
        axis=1,
    )


def split_grids(vectors: Any, levels: Sequence[geometry.Level], channels: int) -> dict[int, Any]:
    """The grids, `(items, rows, columns, channels)` a level, that `flatten_grids` joined."""
    grids, first = {}, 0
    for level, (rows, columns) in enumerate(levels):
        last = first + rows * columns * channels
        grids[level] = ops.reshape(vectors[:, first:last], (-1, rows, columns, channels))
        first = last
    return grids


def coarsen_grids(grids: dict[int, Any], levels: Sequence[geometry.Level]) -> dict[int, Any]:
    """The grids of maxima of all levels, from those that no other level gives."""
    grids = dict(grids)
    for level, source, pool in geometry.derive_levels(levels):
        if source is not None:
            grids[level] = ops.max_pool(
                grids[source], pool, strides=pool, padding="valid", data_format="channels_last"
            )
    return grids


def bin_maxima(z: Any, bins: int, lengths: Any = None, masked: bool = True) -> Any:
    """Maxima over the bins of axis 1: `(items, length, depth)` to `(items, bins, depth)`.

    `lengths`, `(items,)`, is the number of valid cells of axis 1 of each item.
    """
    items, length, depth = ops.shape(z)
    if lengths is None and bins == 1:
        return ops.max(z, axis=1, keepdims=True)
    index = np.arange(bins, dtype="int32")
    if lengths is None:
        starts, stops = geometry.bin_edges(index, length, bins)
        longest = _max(stops - starts)
    else:
        starts, stops = geometry.bin_edges(index[None, :], lengths[:, None], bins)
        longest = geometry.longest_bin(length, bins)
    cells = starts[..., None] + ops.arange(longest, dtype="int32")
    inside = cells < stops[..., None]
    cells = ops.minimum(cells, stops[..., None] - 1)
    if lengths is None:
        taken = ops.take(z, ops.reshape(cells, (-1,)), axis=1)
    else:
        cells = cells + (ops.arange(items, dtype="int32") * length)[:, None, None]
        taken = ops.take(ops.reshape(z, (items * length, depth)), ops.reshape(cells, (-1,)), axis=0)
    if masked:
        taken = ops.reshape(taken, (-1, bins, longest, depth))
        taken = ops.where(ops.expand_dims(inside, -1), taken, ops.full((), -np.inf, taken.dtype))
    taken = ops.reshape(taken, (items * bins, longest, depth))
    return ops.reshape(ops.max(taken, axis=1), (items, bins, depth))


def _max(lengths: Any) -> Any:
    return int(lengths.max()) if isinstance(lengths, np.ndarray) else ops.max(lengths)


def _mean_weights(lengths: Any, padded: Any, bins: int, dtype: str) -> Any:
    """`(..., bins, padded)`: one over the bin's length for its cells, zero elsewhere."""
    index = np.arange(bins, dtype="int32")
    starts, stops = geometry.bin_edges(index, lengths, bins)
    starts, stops = starts[..., None], stops[..., None]
    cells = ops.arange(padded, dtype="int32")
    inside = ops.logical_and(cells >= starts, cells < stops)
    return ops.cast(inside, dtype) / ops.cast(stops - starts, dtype)
