"""Adaptive pooling layers: feature maps of any size to a grid of fixed size."""

from typing import Any, Literal

import keras

from spp_keras import _checks, ops


class _AdaptivePooling2D(keras.layers.Layer):
    """What both layers share; they differ in the operation."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.output_size = _checks.size_pair(output_size, "output_size")
        self.data_format = _checks.data_format(data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = _checks.feature_maps(input_shape, self.data_format, "inputs")
        if self.data_format == "channels_first":
            return (input_shape[0], channels, *self.output_size)
        return (input_shape[0], *self.output_size, channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="spp_keras")
class AdaptiveMaxPooling2D(_AdaptivePooling2D):
    """Adaptive max pooling: a grid of fixed size from feature maps of any size.

    As `keras.layers.AdaptiveMaxPooling2D` and `torch.nn.AdaptiveMaxPool2d`, whose
    answers it gives: bin `i` of `n` over `L` cells covers cells `floor(i * L / n)` up
    to, not including, `ceil((i + 1) * L / n)`. Unlike Keras' layer it takes feature
    maps of unknown or mixed sizes, and an output size of 1. One level of
    `SpatialPyramidPooling`, as a grid instead of a vector.

    Args:
        output_size: Rows and columns of the grid, or an int for both.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Feature maps: a tensor `(batch, height, width, channels)` (channels
            first: `(batch, channels, height, width)`), height and width of any size
            and unknown if need be; or a `tf.RaggedTensor`
            `(batch, (height), (width), channels)`, every map of its own size.
        sizes: Integer tensor `(batch, 2)`, how many rows and columns of each
            map are valid, for maps of different sizes padded to one. Padding
            has no effect on the output. Defaults to all rows and columns.

    Output shape:
        `(batch, rows, columns, channels)`, channels first
        `(batch, channels, rows, columns)`.

    Example:

    >>> pool = AdaptiveMaxPooling2D((2, 1))
    >>> tuple(pool(np.ones((1, 13, 9, 4))).shape)
    (1, 2, 1, 4)
    """

    def call(self, inputs: Any, sizes: Any = None) -> Any:
        return ops.adaptive_max_pool(inputs, self.output_size, sizes, self.data_format)


@keras.saving.register_keras_serializable(package="spp_keras")
class AdaptiveAveragePooling2D(_AdaptivePooling2D):
    """Adaptive average pooling: a grid of fixed size from feature maps of any size.

    As `keras.layers.AdaptiveAveragePooling2D` and `torch.nn.AdaptiveAvgPool2d`, whose
    answers it gives; bins, sizes and differences are those of `AdaptiveMaxPooling2D`.

    Args:
        output_size: Rows and columns of the grid, or an int for both.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: See `AdaptiveMaxPooling2D`.
        sizes: See `AdaptiveMaxPooling2D`.

    Output shape:
        `(batch, rows, columns, channels)`, channels first
        `(batch, channels, rows, columns)`.

    Example:

    >>> pool = AdaptiveAveragePooling2D(1)
    >>> tuple(pool(np.ones((2, 5, 5, 4)), sizes=np.array([[5, 4], [2, 5]])).shape)
    (2, 1, 1, 4)
    """

    def call(self, inputs: Any, sizes: Any = None) -> Any:
        return ops.adaptive_average_pool(inputs, self.output_size, sizes, self.data_format)
