"""Layers that reduce whole images: to pooled values, to moments, or to one random draw."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from spp_keras.ops import _canvases


class _PerImage(keras.layers.Layer):
    """A layer of Keras that reduces each image; without `placements` it is Keras' layer."""

    def call(self, inputs: Any, placements: Any = None) -> Any:
        if placements is None:
            return super().call(inputs)
        return ops.cast(self._call_per_image(inputs, placements), inputs.dtype)

    def compute_output_spec(self, inputs: Any, placements: Any = None) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="spp_keras")
class GlobalAveragePooling2D(_PerImage, keras.layers.GlobalAveragePooling2D):
    """`keras.layers.GlobalAveragePooling2D` of each image; a 1x1 pyramid level of means."""

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        sums = _canvases.sum_images(inputs, placements)
        means = sums / _canvases.count_cells(placements, sums.dtype)
        return means[:, None, None] if self.keepdims else means


@keras.saving.register_keras_serializable(package="spp_keras")
class GlobalMaxPooling2D(_PerImage, keras.layers.GlobalMaxPooling2D):
    """`keras.layers.GlobalMaxPooling2D` of each image; a 1x1 pyramid level of maxima."""

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        maxima = _canvases.max_images(inputs, placements)
        return maxima[:, None, None] if self.keepdims else maxima


@keras.saving.register_keras_serializable(package="spp_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, in training with the moments of cells that are image."""

    def call(self, inputs: Any, placements: Any = None, training: Any = None) -> Any:
        if placements is None or not training or not self.trainable:
            return super().call(inputs, training=training)
        # Keras' own moments of masked inputs select cells of whole maps, forward and backward:
        # they take three times as long.
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        x = ops.cast(inputs, dtype)
        weights = ops.cast(_canvases.mask_cells(x, placements), dtype)
        mean = _average_cells(x, weights)
        variance = _average_cells(ops.square(x - mean), weights)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(ops.cast(moving, dtype) * self.momentum + value * (1.0 - self.momentum))
        gamma, beta = (w if w is None else ops.cast(w, dtype) for w in (self.gamma, self.beta))
        outputs = ops.batch_normalization(
            x, mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=self.epsilon
        )
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_spec(self, inputs: Any, placements: Any = None, training: Any = None) -> Any:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="spp_keras")
class GroupNormalization(_PerImage, keras.layers.GroupNormalization):
    """`keras.layers.GroupNormalization` with the moments of each image."""

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        groups = inputs.shape[-1] // self.groups
        x = _normalize(inputs, placements, groups, self.epsilon)
        for weight, operation in ((self.gamma, ops.multiply), (self.beta, ops.add)):
            if weight is not None:
                x = operation(x, ops.cast(weight, x.dtype))
        return x


@keras.saving.register_keras_serializable(package="spp_keras")
class LayerNormalization(_PerImage, keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` over rows and columns, too, of each image."""

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        group = inputs.shape[-1] if reduces_channels(self.axis) else 1
        return _normalize(inputs, placements, group, self.epsilon)


@keras.saving.register_keras_serializable(package="spp_keras")
class UnitNormalization(_PerImage, keras.layers.UnitNormalization):
    """`keras.layers.UnitNormalization` over rows and columns, too, of each image."""

    def _call_per_image(self, inputs: Any, placements: Any) -> Any:
        squares = _canvases.sum_images(ops.square(inputs), placements)
        if reduces_channels(self.axis):
            squares = ops.broadcast_to(ops.sum(squares, axis=-1, keepdims=True), ops.shape(squares))
        # As Keras bounds it.
        scale = ops.cast(ops.minimum(ops.rsqrt(squares), 1e12), inputs.dtype)
        return inputs * _canvases.spread_to_cells(scale[:, None, None], inputs, placements)


@keras.saving.register_keras_serializable(package="spp_keras")
class PerImageNoise(keras.layers.Wrapper):
    """A layer that multiplies each item of a batch by one random draw: here, each image.

    `SpatialDropout2D`, `Dropout` whose `noise_shape` is 1 along rows and columns, drop path.

    Args:
        layer: The layer.
        **kwargs: See `keras.layers.Layer`.

    Example:

    >>> layer = PerImageNoise(keras.layers.SpatialDropout2D(0.5))
    >>> both = np.array([[0, 0, 0, 2, 2], [0, 0, 2, 2, 2]], "int32")
    >>> drawn = layer(np.ones((1, 2, 4, 1)), placements=both, training=True).numpy()
    >>> bool((drawn[0, :, :2] == drawn[0, 0, 0]).all())
    True
    """

    keeps_cells = True

    def build(self, inputs_shape: Any, placements_shape: Any = None) -> None:
        super().build(inputs_shape)

    def call(self, inputs: Any, placements: Any = None, training: Any = None) -> Any:
        packed = placements is not None and _canvases.is_packed(placements)
        if not training or not packed:
            return self.layer(inputs, training=training)
        ones = ops.ones((ops.shape(placements)[0], 1, 1, inputs.shape[-1]), inputs.dtype)
        draws = self.layer(ones, training=training)
        return inputs * _canvases.spread_to_cells(draws, inputs, placements)

    def compute_output_spec(self, inputs: Any, placements: Any = None, training: Any = None) -> Any:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


def reduces_channels(axis: int | Sequence[int]) -> bool:
    """Whether the axes of a normalization have the last of four among them."""
    axes: Sequence[int] = (axis,) if isinstance(axis, int) else axis
    return bool(np.isin([-1, 3], axes).any())


def _average_cells(x: Any, weights: Any) -> Any:
    """The mean of cells by their weights: `(channels,)`; each cell holds a finite number."""
    sums = ops.sum(ops.matmul(ops.expand_dims(weights, 2), x), axis=(0, 1, 2))
    return sums / ops.sum(weights)


def _normalize(inputs: Any, placements: Any, group: int, epsilon: float) -> Any:
    """Subtracts means and divides by deviations of each image's groups of channels."""
    x = inputs
    if keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16"):
        x = ops.cast(x, "float32")

    def mean(values: Any) -> Any:
        sums = _canvases.sum_images(values, placements)
        means = sums / _canvases.count_cells(placements, sums.dtype)
        grouped = ops.reshape(means, (-1, means.shape[-1] // group, group))
        grouped = ops.mean(grouped, axis=-1, keepdims=True)
        means = ops.reshape(ops.repeat(grouped, group, axis=-1), (-1, means.shape[-1]))
        return means[:, None, None]

    x = x - _canvases.spread_to_cells(mean(x), x, placements)
    scale = ops.rsqrt(mean(ops.square(x)) + epsilon)
    return x * _canvases.spread_to_cells(scale, x, placements)
