"""Spatial pyramid pooling of boxes (RoIs): convolve an image once, then pool any part of it."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from spp_keras import _checks, geometry, ops
from spp_keras.ops import _box_windows, _window_pooling


@keras.saving.register_keras_serializable(package="spp_keras")
class RoISpatialPyramidPooling(keras.layers.Layer):
    """Pools boxes (RoIs) of feature maps into vectors of fixed length.

    The convolutions run once an image; each box, of which the paper has some
    2,000 an image, is then pooled from the feature map as `SpatialPyramidPooling`
    pools a whole one. The cost of a box does not depend on its area.

    A box covers the cells whose centers lie strictly inside it: cell `i` is
    centered on pixel `first_center + stride * i`. A box between centers gets
    the cell nearest to its middle; one that leaves the image is cut at its
    border.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Section 4.1 and
      Appendix A.

    Args:
        stride: Pixels from one cell to the next: the backbone's total stride.
        first_center: Pixel that the first cell is centered on, 0-based.
            Defaults to 0, the paper's backbone for detection.
        ceil_excess: Pixels added to the image size where layers of the backbone
            round up, see `spp_keras.geometry.CellGrid`. Defaults to 0.
        shifts: Pixels by which the first center moves with the size of the image
            where layers of the backbone have strides and "same" padding, see
            `spp_keras.geometry.CellGrid`. Defaults to `()`, it stays.
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
        sizes: Integer tensor `(batch, 2)`, the valid rows and columns of each
            feature map. Defaults to all.
        image_sizes: Integer tensor `(batch, 2)`, height and width in pixels of
            each image. Needed for the relative box formats and with `shifts`.
            Where it is given, boxes wholly outside their image are refused, and
            `sizes` defaults to the map sizes of these images.

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
        shifts: Sequence[float] = (),
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
        self.shifts = _checks.half_integers(shifts, "shifts")
        self.levels = _checks.levels(levels)
        self.mode = _checks.one_of(mode, ("max", "average"), "mode")
        self.bounding_box_format = _checks.one_of(
            bounding_box_format, _box_windows.BOX_FORMATS, "bounding_box_format"
        )
        self.data_format = _checks.data_format(data_format)
        self.grid = geometry.CellGrid(self.stride, self.first_center, self.ceil_excess, self.shifts)

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
        return ops.roi_spatial_pyramid_pool(
            keras.ops.cast(features, self.compute_dtype),
            boxes,
            self.grid,
            self.levels,
            self.mode,
            sizes=sizes,
            image_sizes=image_sizes,
            bounding_box_format=self.bounding_box_format,
            data_format=self.data_format,
        )

    def windows(self, boxes: Any, batch_indices: Any, sizes: Any, image_sizes: Any = None) -> Any:
        """The cells that boxes cover, the first of two steps: boxes of equal cells pool alike.

        Args:
            boxes: float32 `(n, 4)`.
            batch_indices: int32 `(n,)`, the index of each box's image.
            sizes: int32 `(batch, 2)`, rows and columns of each feature map.
            image_sizes: int32 `(batch, 2)`, see the layer. Defaults to `None`.

        Returns:
            int32 `(n, 4)`: first row and column, and the row and column after the last.
        """
        return _box_windows.to_windows(
            boxes, batch_indices, self.bounding_box_format, self.grid, sizes, image_sizes
        )

    def pool(self, features: Any, windows: Any, batch_indices: Any) -> Any:
        """The second step: vectors `(n, length)` of windows of channels-last feature maps."""
        average = self.mode == "average"
        pool = _window_pooling.average_windows if average else _window_pooling.max_windows
        return pool(features, windows, batch_indices, self.levels)

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
            "shifts": self.shifts,
            "levels": self.levels,
            "mode": self.mode,
            "bounding_box_format": self.bounding_box_format,
            "data_format": self.data_format,
        }
