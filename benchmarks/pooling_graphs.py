"""What TensorFlow's cases share: functions in graphs, and the pyramid by its operations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pooling_inputs as inputs
import tensorflow as tf
from worker import Prepared

MAPS = tf.TensorSpec((None, None, None, inputs.CHANNELS))
RAGGED = tf.RaggedTensorSpec((None, None, None, inputs.CHANNELS), ragged_rank=2)
_UPSTREAM = tf.TensorSpec((None, inputs.BINS * inputs.CHANNELS))


def graph(function: Callable[..., Any], signature: list[Any]) -> Callable[..., Any]:
    """The function in a graph for any tensors of that signature."""
    return tf.function(
        lambda *tensors: function(*tensors), input_signature=signature, autograph=False
    )


def prepared(function: Callable[..., Any], signature: list[Any], *values: Any) -> Prepared:
    """A function to `(items, bins * channels)`, in a graph, with its inputs."""
    function = graph(function, signature)
    tensors = [_tensor(value) for value in values]
    return Prepared(lambda: function(*tensors), _by_bin)


def prepared_gradient(
    function: Callable[..., Any], items: int, signature: list[Any], x: Any, *values: Any
) -> Prepared:
    """The same with the gradient by its first input, in one graph."""

    def gradient(upstream: tf.Tensor, x: Any, *others: tf.Tensor) -> tf.Tensor:
        source = x.flat_values if isinstance(x, tf.RaggedTensor) else x
        with tf.GradientTape() as tape:
            tape.watch(source)
            y = function(x, *others)
        return tf.convert_to_tensor(tape.gradient(y, source, tf.reshape(upstream, tf.shape(y))))

    function_of_all = graph(gradient, [_UPSTREAM, *signature])
    tensors = [_tensor(value) for value in (inputs.upstream(items), x, *values)]
    return Prepared(lambda: function_of_all(*tensors), _by_cell)


def one_by_one(function: Callable[..., Any]) -> Prepared:
    """The mixed maps, each by a call of its own."""
    alone = graph(function, [MAPS])
    maps = [tf.constant(x[np.newaxis]) for x in inputs.mixed_maps()]
    return Prepared(lambda: tf.concat([alone(x) for x in maps], axis=0), _by_bin)


def one_by_one_gradient(function: Callable[..., Any]) -> Prepared:
    """The same with the gradient by each map."""

    def gradient(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, upstream)

    alone = graph(gradient, [MAPS, _UPSTREAM])
    maps = [tf.constant(x[np.newaxis]) for x in inputs.mixed_maps()]
    upstream = [tf.constant(one[np.newaxis]) for one in inputs.upstream(len(maps))]
    return Prepared(
        lambda: [alone(*pair) for pair in zip(maps, upstream, strict=True)],
        lambda gradients: np.concatenate([_by_cell(gradient) for gradient in gradients]),
    )


def slices_first(x: tf.Tensor) -> tf.Tensor:
    """A slice a bin, all four levels."""
    cells = [tf.reduce_max(bin, axis=(1, 2)) for n in inputs.LEVELS for bin in _bins(x, n)]
    return tf.concat(cells, axis=1)


def slices_given(x: tf.Tensor) -> tf.Tensor:
    """A slice a bin of the 6x6, the other levels from it."""
    cells = [tf.reduce_max(bin, axis=(1, 2)) for bin in _bins(x, 6)]
    return derived(tf.reshape(tf.stack(cells, axis=1), (-1, 6, 6, inputs.CHANNELS)))


def derived(finest: tf.Tensor) -> tf.Tensor:
    """The pyramid of a 6x6 grid."""
    grids = {6: finest}
    for bins, source in inputs.DERIVATIONS:
        window = source // bins
        grids[bins] = tf.nn.max_pool2d(grids[source], window, window, "VALID")
    flat = [tf.reshape(grids[bins], (-1, bins**2 * inputs.CHANNELS)) for bins in inputs.LEVELS]
    return tf.concat(flat, axis=1)


def _bins(x: tf.Tensor, bins: int) -> list[tf.Tensor]:
    _, height, width, _ = tf.unstack(tf.shape(x))
    return [
        x[
            :,
            slice(*inputs.edges(i, height, bins)),
            slice(*inputs.edges(j, width, bins)),
        ]
        for i in range(bins)
        for j in range(bins)
    ]


def _by_bin(vectors: tf.Tensor) -> np.ndarray:
    return vectors.numpy().reshape(-1, inputs.BINS, inputs.CHANNELS)


def _by_cell(gradient: tf.Tensor) -> np.ndarray:
    return gradient.numpy().reshape(-1, inputs.CHANNELS)


def _tensor(value: Any) -> Any:
    return tf.convert_to_tensor(value) if isinstance(value, np.ndarray) else value
