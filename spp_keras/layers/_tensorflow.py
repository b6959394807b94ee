"""Whole-map maxima by a kernel only TensorFlow has: a max pooling whose window is data."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import geometry
from spp_keras.layers import _pyramids

# Bins of these counts can be made even by reshaping, see `_even_windows`.
_EVEN_COUNTS = (1, 2, 3, 4, 6)
# Maps with a longer side take the portable way; 1023 cells are 16,000 pixels.
_LONGEST = 1023
_VALID, _SAME, _UNEVEN = 0, 1, 2


def max_pyramid(x: tf.Tensor, levels: Sequence[geometry.Level], sizes: Any = None) -> tf.Tensor:
    """`_pyramids.max_pyramid`, by a faster kernel where this process has one.

    The graph holds the portable function, made of operations that every converter knows.
    Beside it lies a second function under the same `api_implements` name for
    the CPU, which TensorFlow's own graph optimizer puts in its place when it
    runs the graph there; TFLite, XLA and GPUs keep the first one. Both have the
    gradient of the first.
    """
    if sizes is None:
        forward = _twins(tuple(levels), x.shape[-1], x.dtype)
    else:
        forward = functools.partial(_pyramids.max_pyramid, levels=levels, sizes=sizes, masked=False)

    @tf.custom_gradient
    def pyramid(x):
        def gradient(upstream):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = _pyramids.max_pyramid(x, levels, sizes)
            return tf.convert_to_tensor(tape.gradient(y, x, upstream))

        return forward(x), gradient

    return pyramid(x)


@functools.cache
def _twins(
    levels: tuple[geometry.Level, ...], channels: int, dtype: tf.DType
) -> Callable[..., Any]:
    signature = [tf.TensorSpec((None, None, None, channels), dtype)]
    bins = "_".join(f"{rows}x{columns}" for rows, columns in levels)
    name = f"spp_keras_max_pyramid_{bins}_of_{channels}_{dtype.name}"

    def twin(function, device):
        return tf.function(
            function,
            input_signature=signature,
            autograph=False,
            experimental_attributes={"api_implements": name, "api_preferred_device": device},
        )

    everywhere = twin(lambda x: _pyramids.max_pyramid(x, levels, masked=False), "GPU")
    on_cpu = twin(lambda x: _cpu_max_pyramid(x, levels), "CPU")

    def call(x):
        on_cpu.get_concrete_function().add_to_graph(tf.compat.v1.get_default_graph())
        return everywhere(x)

    # The optimizer sees graphs only: an eager call needs one around it.
    eager = tf.function(call, input_signature=signature, autograph=False)
    return lambda x: eager(x) if tf.executing_eagerly() else call(x)


def _cpu_max_pyramid(x: tf.Tensor, levels: Sequence[geometry.Level]) -> tf.Tensor:
    batch, height, width, _ = tf.unstack(tf.shape(x))
    channels = x.shape[-1]
    grids: dict[int, tf.Tensor] = {}
    for level, source, pool in geometry.derivations(levels):
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
            vector = _pyramids.max_pyramid(x, ((rows, columns),), masked=False)
            grids[level] = tf.reshape(vector, (batch, rows, columns, channels))
    return _pyramids.flatten_grids(grids, levels, channels)


def _even_bin_maxima(z: tf.Tensor, bins: int) -> tf.Tensor:
    """`_pyramids.bin_maxima` by one pooling, its window and stride looked up."""
    items, length, depth = tf.unstack(tf.shape(z))
    windows = tf.constant(_even_windows(bins))
    kind, groups, window, stride = tf.unstack(windows[tf.minimum(length, _LONGEST + 1)])

    def pool(padding):
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
            _UNEVEN: lambda: _pyramids.bin_maxima(z, bins, masked=False),
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
