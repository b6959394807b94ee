"""Whole-map maxima by a kernel only TensorFlow has: a max pooling whose window is data."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import geometry
from spp_keras.layers import _pyramid_pooling

# Bins of these counts can be made even by reshaping, see `_even_windows`.
_EVEN_COUNTS = (1, 2, 3, 4, 6)
# Maps with a longer side take the portable way; 1023 cells are 16,000 pixels.
_LONGEST = 1023
_VALID, _SAME, _UNEVEN = 0, 1, 2


def max_pyramid(x: tf.Tensor, levels: Sequence[geometry.Level]) -> tf.Tensor:
    """`_pyramids.max_pyramid`, by a faster kernel where this process has one."""
    forward = _twins("whole", tuple(levels), x.shape[-1], x.dtype)
    return _with_gradient_of(lambda x: _pyramid_pooling.max_pyramid(x, levels), forward, x)


def padded_max_pyramid(
    x: tf.Tensor, levels: Sequence[geometry.Level], sizes: tf.Tensor
) -> tf.Tensor:
    """The same for padded maps, of which `sizes` says what counts."""
    forward = _twins("padded", tuple(levels), x.shape[-1], x.dtype)

    def reference(x: Any) -> Any:
        return _pyramid_pooling.max_pyramid(_pyramid_pooling.zero_outside(x, sizes), levels, sizes)

    return _with_gradient_of(reference, lambda x: forward(x, sizes), x)


def ragged_max_pyramid(
    x: tf.RaggedTensor, levels: Sequence[geometry.Level], sizes: tf.Tensor
) -> tf.Tensor:
    """The same for a ragged batch of maps, whose sizes have been checked."""
    channels = x.shape[-1]
    forward = _twins("ragged", tuple(levels), channels, x.dtype)

    def reference(cells: Any) -> Any:
        return _pyramid_pooling.max_pyramid(_padded(cells, sizes), levels, sizes)

    cells = tf.reshape(x.flat_values, (-1, channels))
    return _with_gradient_of(reference, lambda cells: forward(cells, sizes), cells)


def _with_gradient_of(reference: Callable[..., Any], forward: Callable[..., Any], x: Any) -> Any:
    """`forward(x)` with the gradient of `reference`, in which ties share equally."""

    @tf.custom_gradient
    def call(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            # In a loop `x` belongs to the graph forward; a tape needs one of this graph.
            here = tf.identity(x)
            with tf.GradientTape() as tape:
                tape.watch(here)
                y = reference(here)
            return tf.convert_to_tensor(tape.gradient(y, here, upstream))

        return forward(x), gradient

    return call(x)


@functools.cache
def _twins(
    kind: str, levels: tuple[geometry.Level, ...], channels: int, dtype: tf.DType
) -> Callable[..., Any]:
    """A function of the graph, and beside it another that may take its place.

    The graph calls the first, made of operations that every converter knows.
    The second lies in its library under the same `api_implements` name, for
    the CPU: TensorFlow's own graph optimizer puts it in the place of the first
    when it runs the graph there. TFLite, XLA and GPUs keep the first one.
    """
    bins = "_".join(f"{rows}x{columns}" for rows, columns in levels)
    name = f"spp_keras_{kind}_max_pyramid_{bins}_of_{channels}_{dtype.name}"
    maps = tf.TensorSpec((None, None, None, channels), dtype)
    cells = tf.TensorSpec((None, channels), dtype)
    sizes = tf.TensorSpec((None, 2), tf.int32)
    signature, everywhere, on_cpu = {
        "whole": ([maps], _portable, _cpu_max_pyramid),
        "padded": ([maps, sizes], _portable, _cpu_padded_max_pyramid),
        "ragged": ([cells, sizes], _portable_ragged, _cpu_ragged_max_pyramid),
    }[kind]

    def twin(function: Any, device: Any) -> Any:
        return tf.function(
            lambda *tensors: function(levels, *tensors),
            input_signature=signature,
            autograph=False,
            experimental_attributes={"api_implements": name, "api_preferred_device": device},
        )

    everywhere, on_cpu = twin(everywhere, "GPU"), twin(on_cpu, "CPU")

    def call(*tensors: Any) -> Any:
        on_cpu.get_concrete_function().add_to_graph(tf.compat.v1.get_default_graph())
        return everywhere(*tensors)

    # The optimizer sees graphs only: an eager call needs one around it.
    eager = tf.function(call, input_signature=signature, autograph=False)
    return lambda *tensors: (eager if tf.executing_eagerly() else call)(*tensors)


def _portable(
    levels: Sequence[geometry.Level], x: tf.Tensor, sizes: tf.Tensor | None = None
) -> tf.Tensor:
    return _pyramid_pooling.max_pyramid(x, levels, sizes, masked=False)


def _portable_ragged(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    return _pyramid_pooling.max_pyramid(_padded(cells, sizes), levels, sizes, masked=False)


def _padded(cells: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """All cells of a ragged batch, `(cells, channels)`, as padded maps."""
    rows = tf.RaggedTensor.from_row_lengths(cells, tf.repeat(sizes[:, 1], sizes[:, 0]))
    return tf.RaggedTensor.from_row_lengths(rows, sizes[:, 0]).to_tensor()


def _cpu_padded_max_pyramid(
    levels: Sequence[geometry.Level], x: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    def pyramid(item: Any) -> Any:
        height, width = tf.unstack(sizes[item])
        return _cpu_max_pyramid(levels, x[item, :height, :width][tf.newaxis])[0]

    return _for_each(pyramid, sizes, levels, x)


def _cpu_ragged_max_pyramid(
    levels: Sequence[geometry.Level], cells: tf.Tensor, sizes: tf.Tensor
) -> tf.Tensor:
    ends = tf.cumsum(sizes[:, 0] * sizes[:, 1])

    def pyramid(item: Any) -> Any:
        height, width = tf.unstack(sizes[item])
        alone = cells[ends[item] - height * width : ends[item]]
        return _cpu_max_pyramid(levels, tf.reshape(alone, (1, height, width, cells.shape[-1])))[0]

    return _for_each(pyramid, sizes, levels, cells)


def _for_each(
    pyramid: Callable[..., Any], sizes: tf.Tensor, levels: Sequence[geometry.Level], x: tf.Tensor
) -> tf.Tensor:
    length = sum(rows * columns for rows, columns in levels) * x.shape[-1]
    return tf.map_fn(
        pyramid,
        tf.range(tf.shape(sizes)[0]),
        fn_output_signature=tf.TensorSpec((length,), x.dtype),
        parallel_iterations=8,
    )


def _cpu_max_pyramid(levels: Sequence[geometry.Level], x: tf.Tensor) -> tf.Tensor:
    batch, height, width, _ = tf.unstack(tf.shape(x))
    channels = x.shape[-1]
    grids: dict[int, tf.Tensor] = {}
    for level, source, pool in geometry.derive_levels(levels):
        rows, columns = levels[level]
        if source is not None:
            window = (1, *pool, 1)
            grids[level] = tf.raw_ops.MaxPoolV2(
                input=grids[source], ksize=window, strides=window, padding="VALID"
            )
        elif rows in _EVEN_COUNTS and columns in _EVEN_COUNTS:
            z = tf.reshape(x, (batch, height, width * channels))
            z = tf.reshape(_even_bin_maxima(z, rows), (batch * rows, width, channels))
            grids[level] = tf.reshape(
                _even_bin_maxima(z, columns), (batch, rows, columns, channels)
            )
        else:
            vector = _pyramid_pooling.max_pyramid(x, ((rows, columns),), masked=False)
            grids[level] = tf.reshape(vector, (batch, rows, columns, channels))
    return _pyramid_pooling.flatten_grids(grids, levels, channels)


def _even_bin_maxima(z: tf.Tensor, bins: int) -> tf.Tensor:
    """`_pyramids.bin_maxima` by one pooling, its window and stride looked up."""
    items, length, depth = tf.unstack(tf.shape(z))
    windows = tf.constant(_even_windows(bins))
    kind, groups, window, stride = tf.unstack(windows[tf.minimum(length, _LONGEST + 1)])

    def pool(padding: Any) -> Any:
        pooled = tf.raw_ops.MaxPoolV2(
            input=tf.reshape(z, (items * groups, length // groups, 1, depth)),
            ksize=tf.stack((1, window, 1, 1)),
            strides=tf.stack((1, stride, 1, 1)),
            padding=padding,
        )
        return tf.reshape(pooled, (items, bins, depth))

    return tf.switch_case(
        kind,
        {
            _VALID: lambda: pool("VALID"),
            _SAME: lambda: pool("SAME"),
            _UNEVEN: lambda: _pyramid_pooling.bin_maxima(z, bins, masked=False),
        },
    )


@functools.cache
def _even_windows(bins: int) -> np.ndarray:
    """For every length: kind of padding, groups, window and stride that give its bins.

    With g = gcd(length, bins) the bins fall into g equal groups, and a reshape
    makes the groups items of the batch. In a group, q * b + r cells in b bins,
    r and b have no common divisor; for b in {1, 2, 3, 4, 6} r is 0, 1 or b - 1.
    For 0 and 1 the bins are windows of q + r at stride q; for b - 1 they are
    windows of q + 2 at stride q + 1 that stick out by one cell on each side,
    which is what "SAME" padding does.
    """
    rows = np.full((_LONGEST + 2, 4), (_UNEVEN, 1, 1, 1), "int32")
    for length in range(bins, _LONGEST + 1):
        groups = math.gcd(length, bins)
        count = bins // groups
        quotient, rest = divmod(length // groups, count)
        if rest > 1:
            rows[length] = (_SAME, groups, quotient + 2, quotient + 1)
        else:
            rows[length] = (_VALID, groups, quotient + rest, quotient)
    return rows
