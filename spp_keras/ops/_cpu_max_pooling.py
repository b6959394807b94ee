"""Max pyramids of whole feature maps on the CPU, by TensorFlow's max pooling kernel.

Why there are two graphs: `MaxPoolV2` takes its window and stride as tensors, so one
graph pools feature maps of every size by a fast kernel. But only TensorFlow on a CPU
has that kernel; TFLite, XLA and GPUs do not. So every graph calls the portable function
(`_grid_pooling.max_pyramid`), and beside it lies the one for the CPU, under the same
`api_implements` name: Grappler, TensorFlow's graph optimizer, swaps it in where the graph
runs on a CPU. Gradients are those of the portable function. Without the second graph a
pyramid takes 2.5 to 3.1 times as long (benchmarks/results/pooling.md, row "portable").

When a TensorFlow upgrade breaks this: the attributes `api_implements` and
`api_preferred_device` of `tf.function`, and `ConcreteFunction.add_to_graph`, are all that
is not plain TensorFlow. If they go, let `ops.spatial_pyramid_pool` call
`_grid_pooling.max_pyramid` on TensorFlow as it does on JAX (with `tf.RaggedTensor.to_tensor`
for ragged batches) and delete this file: answers and gradients stay the same.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from spp_keras import geometry
from spp_keras.ops import _grid_pooling, _inputs
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


def _layout_of_padded(features: tf.Tensor, sizes: tf.Tensor) -> MapLayout:
    batch, height, width, _ = ops.shape(features)
    maps = tf.range(batch)
    return MapLayout(maps * (height * width), width, maps * height, sizes, (height, width))


def _layout_of_ragged(sizes: tf.Tensor) -> MapLayout:
    cells = tf.cumsum(sizes[:, 0] * sizes[:, 1], exclusive=True)
    rows = tf.cumsum(sizes[:, 0], exclusive=True)
    bounds = tf.unstack(tf.reduce_max(sizes, axis=0))
    return MapLayout(cells, sizes[:, 1], rows, sizes, tuple(bounds))


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
        vectors, *strips = forward(x)

        def gradient(upstream: Any) -> Any:
            cells = tf.reshape(x, (-1, x.shape[-1]))
            grids = _grid_pooling.split_grids(vectors, levels)
            arriving = _root_gradients({root: grids[root] for root in roots}, levels, upstream)
            places = [
                find_maxima(cells, strip, grids[root], layout)
                for root, strip in zip(roots, strips, strict=True)
            ]
            flat = (tf.concat([tf.reshape(y, (-1,)) for y in z], 0) for z in (places, arriving))
            return add_at(*flat, x)

        return vectors, gradient

    return pool(features)


def _root_gradients(
    grids: dict[int, tf.Tensor], levels: Sequence[geometry.Level], upstream: tf.Tensor
) -> list[tf.Tensor]:
    """The gradients of the grids that are pooled from the maps, of all that they are part of."""
    grids = {level: tf.identity(grid) for level, grid in grids.items()}
    with tf.GradientTape() as tape:
        tape.watch(grids)
        coarsened = _grid_pooling.coarsen_grids(grids, levels)
    parts = _grid_pooling.split_grids(upstream, levels)
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


# Each of these gives the pyramid and, for every grid that is pooled from the maps, its strips.


def _portable(
    levels: Sequence[geometry.Level], features: tf.Tensor, sizes: tf.Tensor | None = None
) -> list[tf.Tensor]:
    grids, strips = {}, []
    for root in _roots(levels):
        grids[root], strip = _grid_pooling.max_grid(features, *levels[root], sizes, masked=False)
        strips.append(strip)
    return [_pyramid(grids, levels), *strips]


def _portable_ragged(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> list[tf.Tensor]:
    rows = tf.RaggedTensor.from_row_lengths(cells, tf.repeat(sizes[:, 1], sizes[:, 0]))
    features = tf.RaggedTensor.from_row_lengths(rows, sizes[:, 0]).to_tensor()
    vectors, *strips = _portable(levels, features, sizes)
    inside = tf.sequence_mask(sizes[:, 0], tf.shape(features)[1])
    return [vectors, *(tf.boolean_mask(strip, tf.reshape(inside, (-1,))) for strip in strips)]


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
    maps = ragged_sequences(sizes[:, 0])
    rows = ragged_sequences(tf.gather(sizes[:, 1], maps.items))
    return _cpu_mixed_max_pyramid(levels, cells, maps, rows)


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
    return [_pyramid(grids, levels), *strips]


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
    return [_pyramid(grids, levels), *strips]


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
