"""Masking of padded feature maps, which keeps batches of mixed sizes exact."""

from typing import Any

import keras

from spp_keras import _checks, geometry
from spp_keras.ops import _assertions, _grid_pooling


@keras.saving.register_keras_serializable(package="spp_keras")
class MaskPadding(keras.layers.Layer):
    """Sets the cells of padded feature maps that lie beyond each image to zero.

    A single image is surrounded by the zeros of the next layer's padding. So is an
    image of a padded batch if this layer comes before every convolution,
    normalization or pooling that pads: its output is then the same as alone. Where
    all images have the size of the batch, the layer does nothing.

    All layers before it must pad by the same amount on both sides and round map sizes
    down, or up with `ceil_excess`, so that map sizes follow from image sizes by
    `spp_keras.geometry.CellGrid`. Strided layers with `padding="same"` do not.

    Args:
        stride: Pixels from one cell of the feature map to the next.
        first_center: Pixel that the first cell is centered on, 0-based.
        ceil_excess: Pixels added to the image size where layers before round up,
            see `spp_keras.geometry.CellGrid`. Defaults to 0.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        maps: Tensor `(batch, height, width, channels)`.
        sizes: Integer tensor `(batch, 2)`, height and width of each image in
            pixels, or `None` where all have the batch's size.

    Output:
        The feature maps, and their valid rows and columns as an int32 tensor
        `(batch, 2)`, or `None` where all are valid.

    Example:

    >>> maps, cells = MaskPadding(stride=2, first_center=0)(np.ones((1, 3, 3, 1)), sizes=[[4, 5]])
    >>> cells.tolist() if hasattr(cells, "tolist") else cells.numpy().tolist()
    [[2, 3]]
    >>> float(maps[0, 2, 0, 0])
    0.0
    """

    # Each cell lies where its input cell lies, see `spp_keras.model_geometry`.
    keeps_cells = True

    def __init__(self, stride: int, first_center: float, ceil_excess: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.stride = _checks.at_least(stride, 1, "stride")
        self.first_center = _checks.half_integer(first_center, "first_center")
        self.ceil_excess = _checks.at_least(ceil_excess, 0, "ceil_excess")

    def build(self, maps_shape: Any, sizes_shape: Any = None) -> None:
        _checks.rank(maps_shape, 4, "maps", "(batch, height, width, channels)")

    def call(self, maps: Any, sizes: Any = None) -> Any:
        if sizes is None:
            return maps, None
        grid = geometry.CellGrid(self.stride, self.first_center, self.ceil_excess)
        cells = grid.map_size(keras.ops.cast(sizes, "int32"))
        cells = _assertions.check_sizes(cells, maps, "sizes in cells")
        return _grid_pooling.zero_padding(maps, cells), cells

    def compute_output_spec(self, maps: Any, sizes: Any = None) -> Any:
        return (
            keras.KerasTensor(maps.shape, self.compute_dtype),
            keras.KerasTensor((maps.shape[0], 2), "int32"),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stride": self.stride,
            "first_center": self.first_center,
            "ceil_excess": self.ceil_excess,
        }
