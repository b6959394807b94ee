"""Keras' `Normalization` for two models that share its variables."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="spp_keras")
class Normalization(keras.layers.Normalization):
    """`keras.layers.Normalization` whose variables another layer has, too.

    Keras' layer computes constants from its variables when it is adapted or loaded. This one
    takes them from the other layer, and has that compute them when it is loaded itself.

    Example:

    >>> original = keras.layers.Normalization()
    >>> converted = any_size(keras.Sequential([keras.Input((2, 2, 1)), original]))
    >>> original.adapt(np.full((1, 2, 2, 1), 5.0))
    >>> float(converted(np.full((1, 2, 2, 1), 5.0))[0, 0, 0, 0])
    0.0
    """

    _original: keras.layers.Normalization | None = None

    def share_with(self, original: keras.layers.Normalization) -> None:
        """Keeps this layer and the one whose variables it has alike.

        Args:
            original: The other layer.
        """
        # Past Keras, which would take it for a part of this layer.
        self.__dict__["_original"] = original

    def call(self, inputs: Any) -> Any:
        if self._original is not None:
            self.mean, self.variance = self._original.mean, self._original.variance
        return super().call(inputs)

    def finalize_state(self) -> None:
        super().finalize_state()
        if self._original is not None:
            self._original.finalize_state()
