"""Spatial pyramid pooling of windows: convolve an image once, then pool any part of it."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from spp_keras import _checks, geometry
from spp_keras.layers import _assertions, _box_to_window, _pyramid_pooling, _ragged, _roi_pooling

_BOX_FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


@keras.saving.register_keras_serializable(package="spp_keras")
class RoISpatialPyramidPooling(keras.layers.Layer):
    """Pools windows of feature maps into vectors of fixed length.

    The convolutions run once an image; each window, of which the paper has some
    2,000 an image, is then pooled from the map as `SpatialPyramidPooling` pools a
    whole one. What a window costs does not depend on its area.

    A window covers the cells whose centers lie strictly inside it: cell `i` is
    centered on pixel `first_center + step * i`. A window between centers gets
    the cell nearest to its middle, one that leaves the image is cut at its
    border.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Section 4.1 and
      Appendix A.

    Args:
        stride: Pixels from one cell to the next: the trunk's total stride.
        first_center: Pixel that the first cell is centered on, 0-based.
            Defaults to 0, the paper's trunk for detection.
        ceil_excess: Pixels that an image counts as longer by, where layers of the
            trunk round up, see `geometry.CellGrid`. Defaults to 0.
        levels: Sequence of ints, or of `(rows, columns)` pairs. Defaults to
            the paper's 50 bins, `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`. Defaults to `"max"`.
        bounding_box_format: A format of `keras.utils.bounding_boxes`. Ends are
            exclusive: a box of the first 224 pixels is `(0, 0, 224, 224)`.
            Defaults to `"xyxy"`, in pixels of the image.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        features: Feature maps `(batch, height, width, channels)`.
        boxes: Tensor `(batch, boxes, 4)`, or a `tf.RaggedTensor`
            `(batch, (boxes), 4)` where images differ in their number.
        sizes: Integer tensor `(batch, 2)`, how many rows and columns of each
            map count. Defaults to all.
        image_sizes: Integer tensor `(batch, 2)`, height and width in pixels of
            each image. Needed for the relative box formats. Where it is given,
            boxes wholly outside their image are refused, and `sizes` defaults
            to what follows from it.

    Output shape:
        `(batch, boxes, bins * channels)`, ragged if the boxes are; in the order
        of `SpatialPyramidPooling`.

    Example:

    >>> pool = RoISpatialPyramidPooling(stride=16, first_center=14, levels=(2, 1))
    >>> features = np.ones((1, 13, 13, 4))
    >>> tuple(pool(features, np.array([[[0, 0, 224, 224], [30, 40, 90, 70]]])).shape)
    (1, 2, 20)
    """

    def __init__(
        self,
        stride: int,
        first_center: float = 0,
        ceil_excess: int = 0,
        *,
        levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
        mode: Literal["max", "average"] = "max",
        bounding_box_format: str = "xyxy",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        # Box coordinates must not be rounded to half precision with the features.
        super().__init__(autocast=False, **kwargs)
        self.stride = _checks.at_least(stride, 1, "stride")
        self.first_center = _checks.half_integer(first_center, "first_center")
        self.ceil_excess = _checks.at_least(ceil_excess, 0, "ceil_excess")
        self.levels = _checks.levels(levels)
        self.mode = _checks.one_of(mode, ("max", "average"), "mode")
        self.bounding_box_format = _checks.one_of(
            bounding_box_format, _BOX_FORMATS, "bounding_box_format"
        )
        self.data_format = _checks.data_format(data_format)
        self._grid = geometry.CellGrid(self.stride, self.first_center, self.ceil_excess)

    def build(
        self,
        features_shape: Any,
        boxes_shape: Any = None,
        sizes_shape: Any = None,
        image_sizes_shape: Any = None,
    ) -> None:
        _checks.feature_maps(features_shape, self.data_format, "features")
        if boxes_shape is not None:
            _checks.rank(boxes_shape, 3, "boxes", "(batch, boxes, 4)")

    def call(self, features: Any, boxes: Any, sizes: Any = None, image_sizes: Any = None) -> Any:
        if _ragged.is_ragged(features):
            raise ValueError(
                "`features` must be a tensor; give maps of different sizes padded to one, with "
                "their `sizes`. Received: a ragged tensor."
            )
        features = ops.cast(features, self.compute_dtype)
        if self.data_format == "channels_first":
            features = ops.transpose(features, (0, 2, 3, 1))
        features = _assertions.some_cells(features, most=_roi_pooling.LONGEST_SIDE)
        batch = ops.shape(features)[0]
        if image_sizes is not None:
            image_sizes = _assertions.integer_pairs(image_sizes, batch, "image_sizes")
        elif self.bounding_box_format.startswith("rel_"):
            raise ValueError(
                "`image_sizes` must be given for boxes relative to the image. Received: "
                f"image_sizes=None with bounding_box_format={self.bounding_box_format!r}."
            )
        sizes = self._valid_sizes(features, sizes, image_sizes)
        flat, items = _box_to_window.flatten(boxes, batch)
        windows = self.windows(flat, items, sizes, image_sizes)
        if self.mode == "average":
            features = _pyramid_pooling.zero_outside(features, sizes)
        vectors = self.pool(features, windows, items)
        if _ragged.is_ragged(boxes):
            return boxes.with_flat_values(vectors)
        return ops.reshape(vectors, (batch, ops.shape(boxes)[1], vectors.shape[-1]))

    def windows(self, boxes: Any, items: Any, sizes: Any, image_sizes: Any = None) -> Any:
        """The cells that boxes cover, the first of two steps: boxes of equal cells pool alike.

        Args:
            boxes: float32 `(n, 4)`.
            items: int32 `(n,)`, the image of each.
            sizes: int32 `(batch, 2)`, rows and columns of each map.
            image_sizes: See the layer. Defaults to `None`.

        Returns:
            int32 `(n, 4)`, first row and column, and those after the last.
        """
        return _box_to_window.to_windows(
            boxes, items, self.bounding_box_format, self._grid, sizes, image_sizes
        )

    def pool(self, features: Any, windows: Any, items: Any) -> Any:
        """The second step: channels-last maps and what `windows` gave to `(n, length)`."""
        pool = _roi_pooling.average_windows if self.mode == "average" else _roi_pooling.max_windows
        return pool(features, windows, items, self.levels)

    def _valid_sizes(self, features: Any, sizes: Any, image_sizes: Any) -> Any:
        if sizes is not None:
            return _assertions.valid_sizes(sizes, features)
        batch, height, width, _ = ops.shape(features)
        whole = ops.tile(ops.reshape(ops.stack([height, width]), (1, 2)), (batch, 1))
        if image_sizes is None:
            return whole
        # Padding that is not the same on both sides may leave a cell less than the grid has.
        cells = ops.minimum(self._grid.map_size(image_sizes), whole)
        return _assertions.valid_sizes(cells, features)

    def compute_output_spec(
        self, features: Any, boxes: Any, sizes: Any = None, image_sizes: Any = None
    ) -> Any:
        channels = features.shape[1 if self.data_format == "channels_first" else -1]
        bins = sum(rows * columns for rows, columns in self.levels)
        shape = (features.shape[0], boxes.shape[1], bins * channels)
        return keras.KerasTensor(
            shape, self.compute_dtype, ragged=bool(getattr(boxes, "ragged", False))
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stride": self.stride,
            "first_center": self.first_center,
            "ceil_excess": self.ceil_excess,
            "levels": self.levels,
            "mode": self.mode,
            "bounding_box_format": self.bounding_box_format,
            "data_format": self.data_format,
        }
