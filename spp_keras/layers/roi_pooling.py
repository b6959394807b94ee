"""RoI layers under torchvision's names: a grid of fixed size for each box."""

from typing import Any, Literal

import keras

from spp_keras import _checks, ops


class _RoIPooling(keras.layers.Layer):
    """What both layers share; they differ in the operation."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        data_format: Literal["channels_last", "channels_first"] | None,
        **kwargs: Any,
    ):
        # Box coordinates must not be rounded to half precision with the features.
        super().__init__(autocast=False, **kwargs)
        self.output_size = _checks.size_pair(output_size, "output_size")
        self.spatial_scale = _checks.positive(spatial_scale, "spatial_scale")
        self.data_format = _checks.data_format(data_format)

    def build(self, features_shape: Any, boxes_shape: Any = None, sizes_shape: Any = None) -> None:
        _checks.feature_maps(features_shape, self.data_format, "features")
        if boxes_shape is not None:
            _checks.rank(boxes_shape, 3, "boxes", "(batch, boxes, 4)")

    def compute_output_spec(self, features: Any, boxes: Any, sizes: Any = None) -> Any:
        channels_first = self.data_format == "channels_first"
        channels = features.shape[1 if channels_first else -1]
        grid = (channels, *self.output_size) if channels_first else (*self.output_size, channels)
        shape = (features.shape[0], boxes.shape[1], *grid)
        return keras.KerasTensor(
            shape, self.compute_dtype, ragged=bool(getattr(boxes, "ragged", False))
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "spatial_scale": self.spatial_scale,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="spp_keras")
class RoIPool(_RoIPooling):
    """RoI pooling of Fast R-CNN: maxima of a grid of bins over each box.

    Gives the answers of `torchvision.ops.RoIPool`. `RoISpatialPyramidPooling` is
    the layer of SPP-net, which pools several grids at once.

    Reference:

    - [Girshick, 2015](https://arxiv.org/abs/1504.08083), Section 2.1.

    Args:
        output_size: Rows and columns of the grid, or an int for both.
        spatial_scale: Cells of the feature map per pixel, 1/16 for a stride of 16.
            Defaults to 1.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        features: Feature maps `(batch, height, width, channels)`.
        boxes: Boxes as left, top, right and bottom in pixels: a tensor
            `(batch, boxes, 4)`, or a `tf.RaggedTensor` `(batch, (boxes), 4)`
            where images differ in their number.
        sizes: Integer tensor `(batch, 2)`, the valid rows and columns of each
            feature map of a padded batch. Defaults to all.

    Output shape:
        `(batch, boxes, rows, columns, channels)`, channels first
        `(batch, boxes, channels, rows, columns)`; ragged if the boxes are.

    Example:

    >>> pool = RoIPool(7, spatial_scale=1 / 16)
    >>> tuple(pool(np.ones((1, 13, 13, 4)), np.array([[[0, 0, 100, 60]]])).shape)
    (1, 1, 7, 7, 4)
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        super().__init__(output_size, spatial_scale, data_format, **kwargs)

    def call(self, features: Any, boxes: Any, sizes: Any = None) -> Any:
        features = keras.ops.cast(features, self.compute_dtype)
        return ops.roi_pool(
            features, boxes, self.output_size, self.spatial_scale, sizes, self.data_format
        )


@keras.saving.register_keras_serializable(package="spp_keras")
class RoIAlign(_RoIPooling):
    """RoI align of Mask R-CNN: means of bilinear samples in a grid of bins over each box.

    Gives the answers of `torchvision.ops.RoIAlign`. Features get a gradient, boxes
    do not.

    Reference:

    - [He et al., 2017](https://arxiv.org/abs/1703.06870), Section 3.

    Args:
        output_size: Rows and columns of the grid, or an int for both.
        spatial_scale: Cells of the feature map per pixel, 1/16 for a stride of 16.
            Defaults to 1.
        sampling_ratio: Samples of a bin along each axis. Defaults to -1: as many as
            the bin has cells, rounded up.
        aligned: Whether boxes are shifted by half a cell, so that pixel and cell
            centers correspond (detectron2's "ROIAlignV2"). Without it a box is at
            least one cell high and wide. Defaults to `False`, as in torchvision.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        features: See `RoIPool`.
        boxes: See `RoIPool`.
        sizes: See `RoIPool`.

    Output shape:
        As `RoIPool`.

    Example:

    >>> align = RoIAlign(7, spatial_scale=1 / 16, sampling_ratio=2, aligned=True)
    >>> tuple(align(np.ones((1, 13, 13, 4)), np.array([[[0, 0, 100, 60]]])).shape)
    (1, 1, 7, 7, 4)
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = -1,
        aligned: bool = False,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        super().__init__(output_size, spatial_scale, data_format, **kwargs)
        self.sampling_ratio = _checks.at_least(sampling_ratio, -1, "sampling_ratio")
        self.aligned = _checks.one_of(aligned, (False, True), "aligned")

    def call(self, features: Any, boxes: Any, sizes: Any = None) -> Any:
        return ops.roi_align(
            keras.ops.cast(features, self.compute_dtype),
            boxes,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
            sizes=sizes,
            data_format=self.data_format,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sampling_ratio": self.sampling_ratio,
            "aligned": self.aligned,
        }
