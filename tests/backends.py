"""What tests do on every backend: arrays, compiled functions and gradients."""

import keras
import numpy as np

BACKEND = keras.backend.backend()


def as_numpy(x):
    """A tensor as a NumPy array, half precision as it is."""
    return keras.ops.convert_to_numpy(x)


def compiled(function):
    """The function in a graph: `tf.function`, or `jax.jit`."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


def gradient(function, x, upstream=None):
    """Gradient of `sum(upstream * function(x))` by `x`, an array.

    Without `upstream` it is that of `sum(function(x))`. What `function` gives is
    reshaped to `upstream`.
    """

    def loss(x):
        y = function(x)
        return keras.ops.sum(y if upstream is None else y * np.reshape(upstream, y.shape))

    if BACKEND == "jax":
        import jax

        return np.asarray(jax.grad(loss)(keras.ops.convert_to_tensor(x)))
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loss(x)
    return tf.convert_to_tensor(tape.gradient(y, x)).numpy()
