"""Spatial pyramid pooling layer: a feature map of any size to one vector."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from spp_keras import _checks, ops


@keras.saving.register_keras_serializable(package="spp_keras")
class SpatialPyramidPooling(keras.layers.Layer):
    """Pools a feature map of any size into a vector of fixed length.

    Each level `(rows, columns)` lays a grid over the whole map and keeps one
    value per channel and bin. Put it between the last convolution and the
    first `Dense` layer, so that images need no cropping or warping. An image's
    vector does not depend on the other images in its batch, however their
    sizes are mixed.

    Bin `i` of `n` over `L` cells covers cells `floor(i * L / n)` up to, not
    including, `ceil((i + 1) * L / n)`. Where several cells of a bin attain its
    maximum, the first gets its gradient, row by row, as in PyTorch; with the JAX
    backend they share it.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Section 2.2 and
      Appendix A. (DeepLab's "atrous spatial pyramid pooling" is another thing.)

    Args:
        levels: Sequence of ints, or of `(rows, columns)` pairs. An int `n` is
            an `n x n` grid. Defaults to the paper's 50 bins, `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`. Defaults to `"max"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Feature maps, in one of these forms:
            - a tensor `(batch, height, width, channels)` (channels first:
              `(batch, channels, height, width)`), height and width of any
              size and unknown if need be;
            - a `tf.RaggedTensor` `(batch, (height), (width), channels)`, every
              map of its own size.
        sizes: Integer tensor `(batch, 2)`, how many rows and columns of each
            map are valid, for maps of different sizes padded to one. Padding
            has no effect on the output. Or `(images, 5)`, where several images
            lie on one map: map, top, left, rows and columns of each. Defaults
            to all rows and columns.

    Output shape:
        `(batch, bins * channels)`, levels in the order given; inside a level
        row by row, inside a bin channel by channel.

    Example:

    >>> pool = SpatialPyramidPooling(levels=(2, 1))
    >>> tuple(pool(np.ones((1, 13, 9, 4))).shape)
    (1, 20)
    """

    def __init__(
        self,
        levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
        mode: Literal["max", "average"] = "max",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.levels = _checks.levels(levels)
        self.mode = _checks.one_of(mode, ("max", "average"), "mode")
        self.data_format = _checks.data_format(data_format)

    def call(self, inputs: Any, sizes: Any = None) -> Any:
        return ops.spatial_pyramid_pool(inputs, self.levels, self.mode, sizes, self.data_format)

    def compute_output_shape(self, inputs_shape: Any, sizes_shape: Any = None) -> Any:
        channels = _checks.feature_maps(inputs_shape, self.data_format, "inputs")
        items = inputs_shape[0] if sizes_shape is None else sizes_shape[0]
        return (items, sum(rows * columns for rows, columns in self.levels) * channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "levels": self.levels,
            "mode": self.mode,
            "data_format": self.data_format,
        }
