"""Keras' `Normalization` for two models that share its variables."""

import weakref
from collections.abc import Callable
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="spp_keras")
class Normalization(keras.layers.Normalization):
    """`keras.layers.Normalization` whose variables another layer has, too.

    Keras' layer computes constants from its variables when it is adapted or loaded. This one
    computes them when it is called, and tells the other layer to do so when it is loaded.

    Example:

    >>> original = keras.layers.Normalization()
    >>> original.build((None, 2, 2, 1))
    >>> model = keras.Sequential([keras.Input((2, 2, 1)), original])
    >>> converted = any_size(model)
    >>> original.adapt(np.full((1, 2, 2, 1), 5.0))
    >>> float(converted(np.full((1, 2, 2, 1), 5.0))[0, 0, 0, 0])
    0.0
    """

    _get_original: Callable[[], keras.layers.Normalization | None]

    def share_with(self, original: keras.layers.Normalization) -> None:
        """Keeps another layer up to date, whose variables this one has."""
        self._get_original = weakref.ref(original)

    def call(self, inputs: Any) -> Any:
        if self.input_mean is not None:
            return super().call(inputs)
        inputs = ops.cast(inputs, self.compute_dtype)
        mean, variance = (
            ops.cast(ops.reshape(value, tuple(self.mean.shape)), self.compute_dtype)
            for value in (self.adapt_mean, self.adapt_variance)
        )
        deviation = ops.maximum(ops.sqrt(variance), keras.config.epsilon())
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    def finalize_state(self) -> None:
        super().finalize_state()
        original = getattr(self, "_get_original", lambda: None)()
        if original is not None:
            original.finalize_state()
