"""What keeps mixed sizes exact behind poolings that round up."""

from typing import Any

import keras

from spp_keras import _checks
from spp_keras.layers import ValidCells


@keras.saving.register_keras_serializable(package="spp_keras")
class RoundedUpCells(ValidCells):
    """`ValidCells` behind poolings that round the number of their cells up.

    A pooling of stride `s` that rounds up has the cells that it would have,
    rounding down, on a map of `s - 1` cells more at its end:
    `ceil((L - k) / s) = floor((L + s - 1 - k) / s)`. So all the numbers of
    cells are those of an image that is some pixels longer, while its cells are
    centred where they were.

    Args:
        step: Pixels from one cell of the map to the next.
        first_centre: Pixel that the first cell is centred on, 0-based.
        beyond: How much longer, in pixels: of every pooling before, its
            stride less 1 times the step of the map that it pools.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        maps: Tensor `(batch, height, width, channels)`.
        sizes: Integer tensor `(batch, 2)`, height and width of each image in
            pixels, or `None` where all have the batch's size.

    Output:
        As that of `ValidCells`.

    Example:

    >>> cells = RoundedUpCells(step=2, first_centre=0, beyond=1)
    >>> _, counts = cells(np.ones((1, 3, 3, 1)), sizes=[[4, 5]])
    >>> np.array(counts).tolist()
    [[3, 3]]
    """

    def __init__(self, step: int, first_centre: float, beyond: int, **kwargs: Any):
        super().__init__(step, first_centre, **kwargs)
        self.beyond = _checks.at_least(beyond, 1, "beyond")

    def call(self, maps: Any, sizes: Any = None) -> Any:
        if sizes is not None:
            sizes = keras.ops.cast(sizes, "int32") + self.beyond
        return super().call(maps, sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beyond": self.beyond}
