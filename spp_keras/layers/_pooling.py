"""Pyramid pooling of whole feature maps: stateless, channels last, any backend.

Maps are `(batch, height, width, channels)`; `sizes` is `(batch, 2)`, the rows
and columns of each map that count, or `None` where all of them do.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from spp_keras import geometry

if keras.backend.backend() == "tensorflow":
    from spp_keras.layers import _tensorflow


def pool_map(x: Any, levels: Sequence[geometry.Level], mode: str, sizes: Any = None) -> Any:
    """The pyramid of each map: `(batch, bins * channels)`, levels in the order given."""
    if sizes is not None:
        x = zero_outside(x, sizes)
    grids = (_max_grids if mode == "max" else _average_grids)(x, levels, sizes)
    return flatten_grids(grids, levels, x.shape[-1])


def zero_outside(x: Any, sizes: Any) -> Any:
    """Sets cells beyond each map's valid size to zero, whatever they hold."""
    _, height, width, _ = ops.shape(x)
    rows = ops.arange(height, dtype="int32")[None, :] < sizes[:, :1]
    columns = ops.arange(width, dtype="int32")[None, :] < sizes[:, 1:]
    inside = ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    return ops.where(ops.expand_dims(inside, 3), x, ops.zeros((), dtype=x.dtype))


def flatten_grids(grids: Sequence[Any], levels: Sequence[geometry.Level], channels: int) -> Any:
    """Grids of `(items, rows, columns, channels)`, one a level, to one vector an item."""
    return ops.concatenate(
        [
            ops.reshape(grid, (-1, rows * columns * channels))
            for grid, (rows, columns) in zip(grids, levels, strict=True)
        ],
        axis=1,
    )


def coarsen(grids: dict[int, Any], levels: Sequence[geometry.Level]) -> list[Any]:
    """All levels from the grids of those that no other level can give."""
    for level, source, pool in geometry.derivations(levels):
        if source is not None:
            grids[level] = ops.max_pool(
                grids[source], pool, strides=pool, padding="valid", data_format="channels_last"
            )
    return [grids[level] for level in range(len(levels))]


def bin_maxima(z: Any, bins: int, lengths: Any = None, masked: bool = True) -> Any:
    """Maxima over the bins of axis 1: `(items, length, depth)` to `(items, bins, depth)`.

    Args:
        z: Tensor of rank 3.
        bins: Number of bins.
        lengths: `(items,)`, how many cells of axis 1 each item has. Defaults to
            all of them.
        masked: Whether a bin's gradient is to be shared equally by the cells
            that attain its maximum. Without it the short bins are filled up
            by repeating their last cell: as good for the maximum, cheaper, but
            ties would weigh that cell by how long the longest bin happens to be.
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
        taken = ops.take(
            ops.reshape(z, (items * length, depth)), ops.reshape(cells, (-1,)), axis=0
        )
    if masked:
        taken = ops.reshape(taken, (-1, bins, longest, depth))
        taken = ops.where(ops.expand_dims(inside, -1), taken, ops.full((), -np.inf, taken.dtype))
    taken = ops.reshape(taken, (items * bins, longest, depth))
    return ops.reshape(ops.max(taken, axis=1), (items, bins, depth))


def _max(lengths: Any) -> Any:
    return int(lengths.max()) if isinstance(lengths, np.ndarray) else ops.max(lengths)


def _max_grids(x: Any, levels: Sequence[geometry.Level], sizes: Any) -> list[Any]:
    grids = {
        step.level: _max_grid(x, *levels[step.level], sizes)
        for step in geometry.derivations(levels)
        if step.source is None
    }
    return coarsen(grids, levels)


def _max_grid(x: Any, rows: int, columns: int, sizes: Any) -> Any:
    # Rows first: a row of all its columns and channels is contiguous, and what
    # is left for the second step is a fraction of the map.
    batch, height, width, channels = ops.shape(x)
    heights, widths = (None, None) if sizes is None else (sizes[:, 0], sizes[:, 1])
    z = _bin_maxima(ops.reshape(x, (batch, height, width * channels)), rows, heights)
    if widths is not None:
        widths = ops.repeat(widths, rows)
    z = _bin_maxima(ops.reshape(z, (batch * rows, width, channels)), columns, widths)
    return ops.reshape(z, (batch, rows, columns, channels))


def _bin_maxima(z: Any, bins: int, lengths: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        return _tensorflow.bin_maxima(bin_maxima, z, bins, lengths)
    return bin_maxima(z, bins, lengths)


def _average_grids(x: Any, levels: Sequence[geometry.Level], sizes: Any) -> list[Any]:
    # Means are sums with weights: one small matrix product along each axis.
    # Half precision would round a sum over a whole map to three digits.
    batch, height, width, channels = ops.shape(x)
    dtype = x.dtype
    wide = "float64" if dtype == "float64" else "float32"
    heights, widths = (height, width) if sizes is None else (sizes[:, :1], sizes[:, 1:])
    splits = sorted({rows for rows, _ in levels})
    offsets = dict(zip(splits, np.cumsum([0, *splits]).tolist(), strict=False))
    weights = ops.concatenate([_weights(heights, height, rows, wide) for rows in splits], axis=-2)
    z = ops.reshape(ops.cast(x, wide), (batch, height, width * channels))
    strips = ops.matmul(weights, z)
    grids = []
    for rows, columns in levels:
        strip = strips[:, offsets[rows] : offsets[rows] + rows]
        z = ops.reshape(strip, (batch * rows, width, channels))
        weights = _weights(widths, width, columns, wide)
        if sizes is not None:
            weights = ops.repeat(weights, rows, axis=0)
        grid = ops.reshape(ops.matmul(weights, z), (batch, rows, columns, channels))
        grids.append(ops.cast(grid, dtype))
    return grids


def _weights(lengths: Any, padded: Any, bins: int, dtype: str) -> Any:
    """`(..., bins, padded)`: one over the bin's length for its cells, zero elsewhere."""
    index = np.arange(bins, dtype="int32")
    starts, stops = geometry.bin_edges(index, lengths, bins)
    starts, stops = starts[..., None], stops[..., None]
    cells = ops.arange(padded, dtype="int32")
    inside = ops.logical_and(cells >= starts, cells < stops)
    return ops.cast(inside, dtype) / ops.cast(stops - starts, dtype)
