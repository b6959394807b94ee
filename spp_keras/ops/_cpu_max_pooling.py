"""Max pyramids of whole feature maps on the CPU, by TensorFlow's max pooling kernel.

Why there are two graphs: `MaxPoolV2` takes its window and stride as tensors, so one
graph pools feature maps of every size by a fast kernel. But only TensorFlow on a CPU
has that kernel; TFLite, XLA and GPUs do not. So every graph calls the portable function
(`_grid_pooling.max_pyramid`), and beside it lies the one for the CPU, under the same
`api_implements` name: Grappler, TensorFlow's graph optimizer, swaps it in where the graph
runs on a CPU. Batches of mixed sizes have one of segments (`_segment_max_pooling`).
Without the second graph a pyramid takes 2.5 to 3.1 times as long
(benchmarks/results/pooling.md, row "portable").

The gradient is one of numbers of cells (`_max_grid_gradient`), the same on every device. It
takes the strips of the forward pass, the maxima over bins of columns in each row.

When a TensorFlow upgrade breaks this: the attributes `api_implements` and
`api_preferred_device` of `tf.function`, and `ConcreteFunction.add_to_graph`, are all that
is not plain TensorFlow. If they go, let `_swappable` return `portable` and delete the
functions for the CPU: answers and gradients stay the same.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from spp_keras import geometry
from spp_keras.ops import _canvases, _grid_pooling, _inputs
from spp_keras.ops._max_grid_gradient import MapLayout, add_at, find_maxima
from spp_keras.ops._segment_max_pooling import (
    Sequences,
    bin_maxima,
    padded_sequences,
    ragged_sequences,
)

# Numbers of bins that are one max pooling at every length, see `geometry.pooling_window`.
_EVEN_BINS = (1, 2, 3, 4, 6)
# Feature maps with a longer side are pooled by the portable function; 1023 cells are 16,000 pixels.
_MAX_LENGTH = 1023
_VALID, _SAME, _UNEVEN = 0, 1, 2


def max_pyramid(features: tf.Tensor, levels: Sequence[geometry.Level]) -> tf.Tensor:
    """`_grid_pooling.max_pyramid` of feature maps of one size."""
    signature = [_maps_spec(features.shape[-1], features.dtype)]
    name = _implementation_name("whole", levels, features.shape[-1], features.dtype)
    forward = _swappable(_portable, _cpu_max_pyramid, tuple(levels), tuple(signature), name)
    layout = _layout_of_padded(features, _inputs.full_sizes(features))
    return _with_gradient(forward, levels, layout, features)


def padded_max_pyramid(
    features: tf.Tensor, levels: Sequence[geometry.Level], sizes: tf.Tensor
) -> tf.Tensor:
    """The same for padded feature maps of these valid sizes."""
    signature = [_maps_spec(features.shape[-1], features.dtype), _SIZES]
    name = _implementation_name("padded", levels, features.shape[-1], features.dtype)
    forward = _swappable(_portable, _cpu_padded_max_pyramid, tuple(levels), tuple(signature), name)
    layout = _layout_of_padded(features, sizes)
    return _with_gradient(lambda x: forward(x, sizes), levels, layout, features)


def ragged_max_pyramid(
    features: tf.RaggedTensor, levels: Sequence[geometry.Level], sizes: tf.Tensor
) -> tf.Tensor:
    """The same for a ragged batch of feature maps, whose sizes have been checked."""
    channels, dtype = features.shape[-1], features.dtype
    signature = [tf.TensorSpec((None, channels), dtype), _SIZES]
    name = _implementation_name("ragged", levels, channels, dtype)
    forward = _swappable(
        _portable_ragged, _cpu_ragged_max_pyramid, tuple(levels), tuple(signature), name
    )
    cells = tf.reshape(features.flat_values, (-1, channels))
    return _with_gradient(lambda x: forward(x, sizes), levels, _layout_of_ragged(sizes), cells)


def packed_max_pyramid(
    features: tf.Tensor, levels: Sequence[geometry.Level], placements: tf.Tensor
) -> tf.Tensor:
    """The same for feature maps of canvases, on which the map of each image lies somewhere."""
    signature = [
        _maps_spec(features.shape[-1], features.dtype),
        tf.TensorSpec((None, 5), tf.int32),
    ]
    name = _implementation_name("packed", levels, features.shape[-1], features.dtype)
    forward = _swappable(
        _portable_packed, _cpu_packed_max_pyramid, tuple(levels), tuple(signature), name
    )
    layout = _layout_of_packed(features, placements)
    return _with_gradient(lambda x: forward(x, placements), levels, layout, features)


def _layout_of_padded(features: tf.Tensor, sizes: tf.Tensor) -> MapLayout:
    batch, height, width, _ = ops.shape(features)
    first_cells = tf.range(batch) * (height * width)
    return MapLayout(first_cells, width, sizes, (height, width))


def _layout_of_ragged(sizes: tf.Tensor) -> MapLayout:
    first_cells = tf.cumsum(sizes[:, 0] * sizes[:, 1], exclusive=True)
    bounds = tf.unstack(tf.reduce_max(sizes, axis=0))
    return MapLayout(first_cells, sizes[:, 1], sizes, tuple(bounds))


def _layout_of_packed(features: tf.Tensor, placements: tf.Tensor) -> MapLayout:
    _, height, width, _ = ops.shape(features)
    canvas, top, left = tf.unstack(placements[:, :3], axis=1)
    first_cells = (canvas * height + top) * width + left
    return MapLayout(first_cells, width, placements[:, 3:], (height, width))


_SIZES = tf.TensorSpec((None, 2), tf.int32)


def _maps_spec(channels: int, dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, None, channels), dtype)


def _implementation_name(
    form: str, levels: Sequence[geometry.Level], channels: int, dtype: tf.DType
) -> str:
    """The name that both functions share, one for each signature and pyramid."""
    bins = "_".join(f"{rows}x{columns}" for rows, columns in levels)
    return f"spp_keras_{form}_max_pyramid_{bins}_of_{channels}_{dtype.name}"


def _with_gradient(
    forward: Callable[..., Any], levels: Sequence[geometry.Level], layout: MapLayout, features: Any
) -> Any:
    """The pyramid of `forward(features)`; bins give their gradient to their first maximal cell."""
    roots = _roots(levels)

    @tf.custom_gradient
    def pool(x: Any) -> Any:
        vectors, first_rows, *strips = forward(x)

        def gradient(upstream: Any) -> Any:
            channels = x.shape[-1]
            cells = tf.reshape(x, (-1, channels))
            grids = _grid_pooling.split_grids(vectors, levels, channels)
            arriving = _root_gradients({root: grids[root] for root in roots}, levels, upstream)
            places = [
                find_maxima(cells, layout, strip, first_rows, grids[root])
                for root, strip in zip(roots, strips, strict=True)
            ]
            return add_at(_join(places), _join(arriving), x)

        return vectors, gradient

    return pool(features)


def _join(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, (-1,)) for tensor in tensors], axis=0)


def _root_gradients(
    grids: dict[int, tf.Tensor], levels: Sequence[geometry.Level], upstream: tf.Tensor
) -> list[tf.Tensor]:
    """The gradients of the grids that are pooled from the maps, of all that they are part of."""
    grids = {level: tf.identity(grid) for level, grid in grids.items()}
    with tf.GradientTape() as tape:
        tape.watch(grids)
        coarsened = _grid_pooling.coarsen_grids(grids, levels)
    channels = next(iter(grids.values())).shape[-1]
    parts = _grid_pooling.split_grids(upstream, levels, channels)
    gradients = tape.gradient(coarsened, grids, parts)
    return list(gradients.values())


@functools.cache
def _swappable(
    portable: Callable[..., Any],
    on_cpu: Callable[..., Any],
    levels: tuple[geometry.Level, ...],
    signature: tuple[tf.TensorSpec, ...],
    name: str,
) -> Callable[..., Any]:
    """A function that calls `portable`, for which Grappler puts `on_cpu` on a CPU."""

    def implementation(function: Callable[..., Any], device: str) -> Any:
        return tf.function(
            lambda *tensors: function(levels, *tensors),
            input_signature=signature,
            autograph=False,
            experimental_attributes={"api_implements": name, "api_preferred_device": device},
        )

    called, alternative = implementation(portable, "GPU"), implementation(on_cpu, "CPU")

    def call(*tensors: Any) -> Any:
        alternative.get_concrete_function().add_to_graph(tf.compat.v1.get_default_graph())
        return called(*tensors)

    # Grappler optimizes graphs only: an eager call needs one around it.
    in_graph = tf.function(call, input_signature=signature, autograph=False)
    return lambda *tensors: (in_graph if tf.executing_eagerly() else call)(*tensors)


# Each of these gives the pyramid; and what finds its maxima again, the number of each map's
# first row, and for every grid that is pooled from the maps its strips of all rows.


def _portable(
    levels: Sequence[geometry.Level], features: tf.Tensor, sizes: tf.Tensor | None = None
) -> list[tf.Tensor]:
    grids, strips = {}, []
    for root in _roots(levels):
        grids[root], strip = _grid_pooling.max_grid(features, *levels[root], sizes, masked=False)
        strips.append(strip)
    batch, height = ops.shape(features)[:2]
    return [_pyramid(grids, levels), tf.range(batch) * height, *strips]


def _portable_ragged(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> list[tf.Tensor]:
    rows = tf.RaggedTensor.from_row_lengths(cells, tf.repeat(sizes[:, 1], sizes[:, 0]))
    features = tf.RaggedTensor.from_row_lengths(rows, sizes[:, 0]).to_tensor()
    return _portable(levels, features, sizes)


def _portable_packed(
    levels: Sequence[geometry.Level], features: tf.Tensor, placements: tf.Tensor
) -> list[tf.Tensor]:
    return _portable(levels, *_canvases.unpack(features, placements))


def _cpu_padded_max_pyramid(
    levels: Sequence[geometry.Level], features: tf.Tensor, sizes: tf.Tensor
) -> list[tf.Tensor]:
    height, width = tf.unstack(tf.shape(features)[1:3])
    maps = padded_sequences(sizes[:, 0], height)
    rows = padded_sequences(tf.repeat(sizes[:, 1], height), width)
    cells = tf.reshape(features, (-1, features.shape[-1]))
    return _cpu_mixed_max_pyramid(levels, cells, maps, rows)


def _cpu_ragged_max_pyramid(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> list[tf.Tensor]:
    return _cpu_mixed_max_pyramid(levels, cells, *_list_sequences(sizes))


def _cpu_packed_max_pyramid(
    levels: Sequence[geometry.Level], features: tf.Tensor, placements: tf.Tensor
) -> list[tf.Tensor]:
    maps, rows = _list_sequences(placements[:, 3:])
    layout = _layout_of_packed(features, placements)
    row_starts = tf.gather(layout.first_cells, maps.items) + maps.positions * layout.row_steps
    numbers = tf.gather(row_starts, rows.items) + rows.positions
    cells = tf.gather(tf.reshape(features, (-1, features.shape[-1])), numbers)
    return _cpu_mixed_max_pyramid(levels, cells, maps, rows)


def _list_sequences(sizes: tf.Tensor) -> tuple[Sequences, Sequences]:
    """Maps of these sizes as sequences of rows, and the rows as sequences of cells."""
    maps = ragged_sequences(sizes[:, 0])
    return maps, ragged_sequences(tf.gather(sizes[:, 1], maps.items))


def _cpu_mixed_max_pyramid(
    levels: Sequence[geometry.Level], cells: tf.Tensor, maps: Sequences, rows: Sequences
) -> list[tf.Tensor]:
    """From the maps as sequences of rows, and the rows as sequences of cells."""
    grids, strips, channels = {}, [], cells.shape[-1]
    for root in _roots(levels):
        strip = bin_maxima(cells, levels[root][1], rows)
        strips.append(strip)
        lines = tf.reshape(strip, (-1, levels[root][1] * channels))
        grid = bin_maxima(lines, levels[root][0], maps)
        grids[root] = tf.reshape(grid, (-1, *levels[root], channels))
    return [_pyramid(grids, levels), maps.firsts, *strips]


def _cpu_max_pyramid(levels: Sequence[geometry.Level], features: tf.Tensor) -> list[tf.Tensor]:
    batch, height, width, _ = tf.unstack(tf.shape(features))
    channels = features.shape[-1]
    grids, strips = {}, []
    for root in _roots(levels):
        rows, columns = levels[root]
        z = tf.reshape(features, (batch * height, width, channels))
        strip = _whole_bin_maxima(z, columns)
        strips.append(strip)
        z = tf.reshape(strip, (batch, height, columns * channels))
        grids[root] = tf.reshape(_whole_bin_maxima(z, rows), (batch, rows, columns, channels))
    return [_pyramid(grids, levels), tf.range(batch) * height, *strips]


def _roots(levels: Sequence[geometry.Level]) -> list[int]:
    """The levels that are pooled from the maps."""
    return [step.level for step in geometry.derive_levels(levels) if step.source is None]


def _pyramid(grids: dict[int, tf.Tensor], levels: Sequence[geometry.Level]) -> tf.Tensor:
    channels = next(iter(grids.values())).shape[-1]
    grids = _grid_pooling.coarsen_grids(grids, levels)
    return _grid_pooling.flatten_grids(grids, levels, channels)


def _whole_bin_maxima(z: tf.Tensor, bins: int) -> tf.Tensor:
    if bins in _EVEN_BINS:
        return _even_bin_maxima(z, bins)
    return _grid_pooling.bin_maxima(z, bins, masked=False)


def _even_bin_maxima(z: tf.Tensor, bins: int) -> tf.Tensor:
    """`_grid_pooling.bin_maxima` by one max pooling, its window and stride from a table."""
    items, length, depth = tf.unstack(tf.shape(z))
    table = tf.constant(_pooling_windows(bins))
    padding_kind, groups, window, stride = tf.unstack(table[tf.minimum(length, _MAX_LENGTH + 1)])

    def pool(padding: Any) -> Any:
        pooled = tf.raw_ops.MaxPoolV2(
            input=tf.reshape(z, (items * groups, length // groups, 1, depth)),
            ksize=tf.stack((1, window, 1, 1)),
            strides=tf.stack((1, stride, 1, 1)),
            padding=padding,
        )
        return tf.reshape(pooled, (items, bins, depth))

    return tf.switch_case(
        padding_kind,
        {
            _VALID: lambda: pool("VALID"),
            _SAME: lambda: pool("SAME"),
            _UNEVEN: lambda: _grid_pooling.bin_maxima(z, bins, masked=False),
        },
    )


@functools.cache
def _pooling_windows(bins: int) -> np.ndarray:
    """For every length: kind of padding, groups, window and stride."""
    table = np.full((_MAX_LENGTH + 2, 4), (_UNEVEN, 1, 1, 1), "int32")
    for length in range(bins, _MAX_LENGTH + 1):
        window = geometry.pooling_window(length, bins)
        if window is not None:
            kind = _SAME if window.same_padding else _VALID
            table[length] = (kind, window.groups, window.size, window.stride)
    return table
