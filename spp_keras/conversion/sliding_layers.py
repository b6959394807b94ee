"""Keras' convolutions and poolings with "same" padding, exact for images on canvases.

Each class is Keras' own but for one more argument of its call, the places of images. Without
them, where every image fills its canvas, it is Keras' layer, bit for bit.
"""

from typing import Any

import keras
from keras import ops

from spp_keras.ops import _canvases


class _Strided(keras.layers.Layer):
    """A convolution with "same" padding and a stride, with Keras' configuration and weights."""

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    dilation_rate: tuple[int, int]
    use_bias: bool
    activation: Any

    def call(self, inputs: Any, placements: Any = None) -> Any:
        if placements is None:
            return super().call(inputs)
        kernel = [
            (size - 1) * rate + 1
            for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True)
        ]
        padded = _canvases.pad_same(inputs, placements, kernel, self.strides)
        outputs = self._convolve(padded)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_spec(self, inputs: Any, placements: Any = None) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def _convolve(self, padded: Any) -> Any:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="spp_keras")
class Conv2D(_Strided, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with `padding="same"` and strides; `placements` are of its input."""

    def _convolve(self, padded: Any) -> Any:
        return ops.conv(padded, self.kernel, self.strides, "valid", "channels_last")


@keras.saving.register_keras_serializable(package="spp_keras")
class DepthwiseConv2D(_Strided, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` likewise."""

    def _convolve(self, padded: Any) -> Any:
        return ops.depthwise_conv(
            padded, self.kernel, self.strides, "valid", "channels_last", self.dilation_rate
        )


@keras.saving.register_keras_serializable(package="spp_keras")
class SeparableConv2D(_Strided, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` likewise."""

    def _convolve(self, padded: Any) -> Any:
        return ops.separable_conv(
            padded,
            self.depthwise_kernel,
            self.pointwise_kernel,
            self.strides,
            "valid",
            "channels_last",
            self.dilation_rate,
        )


@keras.saving.register_keras_serializable(package="spp_keras")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` with `padding="same"`; `placements` are of its input."""

    def call(self, inputs: Any, placements: Any = None) -> Any:
        if placements is None:
            return super().call(inputs)
        size, strides = self.pool_size, self.strides
        padded = _canvases.pad_same(inputs, placements, size, strides, float("-inf"))
        return ops.max_pool(padded, size, strides, "valid", "channels_last")

    def compute_output_spec(self, inputs: Any, placements: Any = None) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)


@keras.saving.register_keras_serializable(package="spp_keras")
class AveragePooling2D(keras.layers.AveragePooling2D):
    """`keras.layers.AveragePooling2D` with `padding="same"`; `placements` are of its input.

    Keras divides by the number of cells of a window that are image.
    """

    def call(self, inputs: Any, placements: Any = None) -> Any:
        if placements is None:
            return super().call(inputs)
        mask = ops.cast(_canvases.mask_cells(inputs, placements), inputs.dtype)
        sums, shares = (
            ops.average_pool(
                _canvases.pad_same(x, placements, self.pool_size, self.strides),
                self.pool_size,
                self.strides,
                "valid",
                "channels_last",
            )
            for x in (inputs, mask[..., None])
        )
        # No window of an image is without a cell of it; beyond images there may be one.
        return sums / ops.where(shares > 0, shares, ops.ones((), shares.dtype))

    def compute_output_spec(self, inputs: Any, placements: Any = None) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)
