"""What only TensorFlow has: ragged batches and a pooling kernel whose window is data."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Bins of these counts can be made even by reshaping, see `_even_bin_maxima`.
_EVEN_COUNTS = (2, 3, 4, 6)


def is_ragged(x: Any) -> bool:
    """Whether `x` is a ragged tensor, or stands for one."""
    return isinstance(x, tf.RaggedTensor)


def bin_maxima(portable: Callable[..., Any], z: tf.Tensor, bins: int, lengths: Any) -> tf.Tensor:
    """`portable(z, bins, lengths)`, by a faster kernel where this process has one.

    The graph holds `portable`, made of operations that every converter knows.
    Beside it lies a second function under the same `api_implements` name for
    the CPU, which TensorFlow's own graph optimizer puts in its place when it
    runs the graph there; TFLite, XLA and GPUs keep the first one.
    """
    if lengths is not None:
        return _with_shared_gradient(
            lambda z: portable(z, bins, lengths, masked=False),
            lambda z: portable(z, bins, lengths),
        )(z)
    if bins not in _EVEN_COUNTS:
        forward = functools.partial(portable, bins=bins, masked=False)
    else:
        forward = _twins(portable, bins, z.dtype)
    return _with_shared_gradient(forward, lambda z: portable(z, bins))(z)


def _with_shared_gradient(forward: Callable[..., Any], reference: Callable[..., Any]) -> Any:
    """`forward` with the gradient of `reference`: ties share, however it was computed."""

    @tf.custom_gradient
    def call(z):
        def gradient(upstream):
            with tf.GradientTape() as tape:
                tape.watch(z)
                y = reference(z)
            return tf.convert_to_tensor(tape.gradient(y, z, upstream))

        return forward(z), gradient

    return call


@functools.cache
def _twins(portable: Callable[..., Any], bins: int, dtype: tf.DType) -> Callable[..., Any]:
    signature = [tf.TensorSpec((None, None, None), dtype)]
    name = f"spp_keras_{bins}_bin_maxima_{dtype.name}"

    def twin(function, device):
        return tf.function(
            function,
            input_signature=signature,
            autograph=False,
            experimental_attributes={"api_implements": name, "api_preferred_device": device},
        )

    everywhere = twin(lambda z: portable(z, bins, masked=False), "GPU")
    on_cpu = twin(lambda z: _even_bin_maxima(portable, z, bins), "CPU")

    def call(z):
        on_cpu.get_concrete_function().add_to_graph(tf.compat.v1.get_default_graph())
        return everywhere(z)

    # The optimizer sees graphs only: an eager call needs one around it.
    eager = tf.function(call, input_signature=signature, autograph=False)
    return lambda z: eager(z) if tf.executing_eagerly() else call(z)


def _even_bin_maxima(portable: Callable[..., Any], z: tf.Tensor, bins: int) -> tf.Tensor:
    """Maxima over bins of axis 1 by one max pooling whose window is computed.

    With g = gcd(length, bins) the bins fall into g equal groups, and a reshape
    makes the groups items of the batch. In a group, q * b + r cells in b bins,
    r and b have no common divisor; for b in {1, 2, 3, 4, 6} r is 0, 1 or b - 1.
    For 0 and 1 the bins are windows of q + r at stride q; for b - 1 they are
    windows of q + 2 at stride q + 1 that stick out by one cell on each side,
    which is what "SAME" padding does. More bins than cells are left to `portable`.
    """
    items, length, depth = tf.unstack(tf.shape(z))
    divisors = [d for d in range(1, bins + 1) if bins % d == 0]
    groups = tf.reduce_max(tf.stack([tf.where(length % d == 0, d, 1) for d in divisors]))
    count, cells = bins // groups, length // groups
    quotient, rest = cells // count, cells % count

    def pool(window, stride, padding):
        pooled = tf.raw_ops.MaxPoolV2(
            input=tf.reshape(z, (items * groups, cells, 1, depth)),
            ksize=tf.stack([1, window, 1, 1]),
            strides=tf.stack([1, stride, 1, 1]),
            padding=padding,
        )
        return tf.reshape(pooled, (items, bins, depth))

    sticks_out = tf.logical_and(rest == count - 1, rest > 1)
    return tf.switch_case(
        tf.where(length < bins, 2, tf.where(sticks_out, 1, 0)),
        [
            lambda: pool(quotient + rest, quotient, "VALID"),
            lambda: pool(quotient + 2, quotient + 1, "SAME"),
            lambda: portable(z, bins, masked=False),
        ],
    )
