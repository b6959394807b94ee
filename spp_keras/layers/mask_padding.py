"""What keeps mixed sizes exact: cells beyond an image's own map are zero again."""

from typing import Any

import keras

from spp_keras import _checks, geometry
from spp_keras.ops import _assertions, _grid_pooling


@keras.saving.register_keras_serializable(package="spp_keras")
class MaskPadding(keras.layers.Layer):
    """Sets the cells of padded maps that lie beyond each image to zero.

    An image alone is surrounded by the zeros of the next layer's padding. In a
    padded batch it is so too if this layer comes before every convolution,
    normalization or pooling that pads: then each image's answer is its answer
    alone. Where all images have the batch's size it does nothing.

    It presumes that every layer before it pads by the same on both sides and
    rounds down, or up as `ceil_excess` says, so that map sizes follow from image
    sizes by `geometry.CellGrid`. Layers with `padding="same"` and a stride do not.

    Args:
        stride: Pixels from one cell of the map to the next.
        first_center: Pixel that the first cell is centered on, 0-based.
        ceil_excess: Pixels that an image counts as longer by, where layers before
            round up, see `geometry.CellGrid`. Defaults to 0.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        maps: Tensor `(batch, height, width, channels)`.
        sizes: Integer tensor `(batch, 2)`, height and width of each image in
            pixels, or `None` where all have the batch's size.

    Output:
        The pair of the maps and an int32 tensor `(batch, 2)`, how many rows
        and columns of each count, or `None` for all.

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
