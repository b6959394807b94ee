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

from spp_keras import geometry
from spp_keras.ops import _grid_pooling

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
    return _with_gradient_of(lambda x: _grid_pooling.max_pyramid(x, levels), forward, features)


def padded_max_pyramid(
    features: tf.Tensor, levels: Sequence[geometry.Level], sizes: tf.Tensor
) -> tf.Tensor:
    """The same for padded feature maps of these valid sizes."""
    signature = [_maps_spec(features.shape[-1], features.dtype), _SIZES]
    name = _implementation_name("padded", levels, features.shape[-1], features.dtype)
    forward = _swappable(_portable, _cpu_padded_max_pyramid, tuple(levels), tuple(signature), name)

    def reference(x: Any) -> Any:
        return _grid_pooling.max_pyramid(_grid_pooling.zero_padding(x, sizes), levels, sizes)

    return _with_gradient_of(reference, lambda x: forward(x, sizes), features)


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

    def reference(cells: Any) -> Any:
        return _grid_pooling.max_pyramid(_pad_cells(cells, sizes), levels, sizes)

    cells = tf.reshape(features.flat_values, (-1, channels))
    return _with_gradient_of(reference, lambda cells: forward(cells, sizes), cells)


_SIZES = tf.TensorSpec((None, 2), tf.int32)


def _maps_spec(channels: int, dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, None, channels), dtype)


def _implementation_name(
    form: str, levels: Sequence[geometry.Level], channels: int, dtype: tf.DType
) -> str:
    """The name that both functions share, one for each signature and pyramid."""
    bins = "_".join(f"{rows}x{columns}" for rows, columns in levels)
    return f"spp_keras_{form}_max_pyramid_{bins}_of_{channels}_{dtype.name}"


def _with_gradient_of(
    reference: Callable[..., Any], forward: Callable[..., Any], features: Any
) -> Any:
    """`forward(features)` with the gradient of `reference`, in which ties share equally."""

    @tf.custom_gradient
    def pool(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            # In a loop `x` belongs to the forward graph; a tape needs a tensor of this graph.
            local = tf.identity(x)
            with tf.GradientTape() as tape:
                tape.watch(local)
                y = reference(local)
            return tf.convert_to_tensor(tape.gradient(y, local, upstream))

        return forward(x), gradient

    return pool(features)


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


def _portable(
    levels: Sequence[geometry.Level], features: tf.Tensor, sizes: tf.Tensor | None = None
) -> tf.Tensor:
    return _grid_pooling.max_pyramid(features, levels, sizes, masked=False)


def _portable_ragged(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    return _grid_pooling.max_pyramid(_pad_cells(cells, sizes), levels, sizes, masked=False)


def _pad_cells(cells: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """All cells of a ragged batch, `(cells, channels)`, as padded feature maps."""
    rows = tf.RaggedTensor.from_row_lengths(cells, tf.repeat(sizes[:, 1], sizes[:, 0]))
    return tf.RaggedTensor.from_row_lengths(rows, sizes[:, 0]).to_tensor()


def _cpu_padded_max_pyramid(
    levels: Sequence[geometry.Level], features: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    def pool_item(item: Any) -> Any:
        height, width = tf.unstack(sizes[item])
        return _cpu_max_pyramid(levels, features[item, :height, :width][tf.newaxis])[0]

    return _map_items(pool_item, sizes, levels, features)


def _cpu_ragged_max_pyramid(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    ends = tf.cumsum(sizes[:, 0] * sizes[:, 1])

    def pool_item(item: Any) -> Any:
        height, width = tf.unstack(sizes[item])
        item_cells = cells[ends[item] - height * width : ends[item]]
        features = tf.reshape(item_cells, (1, height, width, cells.shape[-1]))
        return _cpu_max_pyramid(levels, features)[0]

    return _map_items(pool_item, sizes, levels, cells)


def _map_items(
    pool_item: Callable[..., Any], sizes: tf.Tensor, levels: Sequence[geometry.Level], x: tf.Tensor
) -> tf.Tensor:
    length = sum(rows * columns for rows, columns in levels) * x.shape[-1]
    return tf.map_fn(
        pool_item,
        tf.range(tf.shape(sizes)[0]),
        fn_output_signature=tf.TensorSpec((length,), x.dtype),
        parallel_iterations=8,
    )


def _cpu_max_pyramid(levels: Sequence[geometry.Level], features: tf.Tensor) -> tf.Tensor:
    batch, height, width, _ = tf.unstack(tf.shape(features))
    channels = features.shape[-1]
    grids: dict[int, tf.Tensor] = {}
    for level, source, pool in geometry.derive_levels(levels):
        rows, columns = levels[level]
        if source is not None:
            window = (1, *pool, 1)
            grids[level] = tf.raw_ops.MaxPoolV2(
                input=grids[source], ksize=window, strides=window, padding="VALID"
            )
        elif rows in _EVEN_BINS and columns in _EVEN_BINS:
            z = tf.reshape(features, (batch, height, width * channels))
            z = tf.reshape(_even_bin_maxima(z, rows), (batch * rows, width, channels))
            grids[level] = tf.reshape(
                _even_bin_maxima(z, columns), (batch, rows, columns, channels)
            )
        else:
            vector = _grid_pooling.max_pyramid(features, ((rows, columns),), masked=False)
            grids[level] = tf.reshape(vector, (batch, rows, columns, channels))
    return _grid_pooling.flatten_grids(grids, levels, channels)


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
