"""Spatial pyramid pooling of windows: convolve an image once, then pool any part of it."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from spp_keras import _checks, geometry
from spp_keras.layers import _assertions, _pyramids, _ragged, _windows

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
class RoiSpatialPyramidPooling(keras.layers.Layer):
    """Pools windows of feature maps into vectors of fixed length.

    The convolutions run once an image; each of some 2,000 windows is then
    pooled from the map as `SpatialPyramidPooling` pools a whole one. What a
    window costs does not depend on its area.

    A window covers the cells whose centres lie strictly inside it: cell `i` is
    centred on pixel `first_centre + step * i`. A window between centres gets
    the cell nearest to its middle, one that leaves the image is cut at its
    border.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Section 4.1 and
      Appendix A.

    Args:
        step: Pixels from one cell to the next: the trunk's total stride.
        first_centre: Pixel that the first cell is centred on, 0-based.
            Defaults to 0, the paper's trunk for detection.
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

    >>> pool = RoiSpatialPyramidPooling(step=16, first_centre=14, levels=(2, 1))
    >>> features = np.ones((1, 13, 13, 4))
    >>> tuple(pool(features, np.array([[[0, 0, 224, 224], [30, 40, 90, 70]]])).shape)
    (1, 2, 20)
    """

    def __init__(
        self,
        step: int,
        first_centre: float = 0,
        *,
        levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
        mode: Literal["max", "average"] = "max",
        bounding_box_format: str = "xyxy",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ):
        # Box coordinates must not be rounded to half precision with the features.
        super().__init__(autocast=False, **kwargs)
        self.step = _checks.at_least(step, 1, "step")
        self.first_centre = _checks.half_integer(first_centre, "first_centre")
        self.levels = _checks.levels(levels)
        self.mode = _checks.one_of(mode, ("max", "average"), "mode")
        self.bounding_box_format = _checks.one_of(
            bounding_box_format, _BOX_FORMATS, "bounding_box_format"
        )
        self.data_format = _checks.data_format(data_format)

    def build(self, features_shape, boxes_shape=None, sizes_shape=None, image_sizes_shape=None):
        _checks.feature_maps(features_shape, self.data_format, "features")
        if boxes_shape is not None:
            _checks.rank(boxes_shape, 3, "boxes", "(batch, boxes, 4)")

    def call(self, features, boxes, sizes=None, image_sizes=None):
        features = ops.cast(features, self.compute_dtype)
        if self.data_format == "channels_first":
            features = ops.transpose(features, (0, 2, 3, 1))
        batch = ops.shape(features)[0]
        sizes, image_sizes = self._map_sizes(features, sizes, image_sizes)
        flat, items = _flatten(boxes, batch)
        flat = _to_pixels(flat, items, image_sizes, self.bounding_box_format)
        windows = self._windows(flat, items, sizes, image_sizes)
        pool = _windows.max_windows if self.mode == "max" else _windows.average_windows
        if self.mode == "average":
            features = _pyramids.zero_outside(features, sizes)
        vectors = pool(features, windows, items, self.levels)
        if _ragged.is_ragged(boxes):
            return boxes.with_flat_values(vectors)
        return ops.reshape(vectors, (batch, ops.shape(boxes)[1], vectors.shape[-1]))

    def _map_sizes(self, features: Any, sizes: Any, image_sizes: Any) -> tuple[Any, Any]:
        batch, height, width, _ = ops.shape(features)
        _assertions.some_cells(features, most=_windows.LONGEST_SIDE)
        whole = ops.tile(ops.reshape(ops.stack([height, width]), (1, 2)), (batch, 1))
        if image_sizes is None:
            if self.bounding_box_format.startswith("rel_"):
                raise ValueError(
                    "`image_sizes` must be given for boxes relative to the image. Received: "
                    f"image_sizes=None with bounding_box_format={self.bounding_box_format!r}."
                )
        else:
            image_sizes = ops.cast(image_sizes, "int32")
            if sizes is None:
                grid = geometry.CellGrid(self.step, self.first_centre)
                sizes = ops.minimum(grid.cells(image_sizes), whole)
        if sizes is None:
            return ops.cast(whole, "int32"), image_sizes
        return _assertions.valid_sizes(sizes, features), image_sizes

    def _windows(self, boxes: Any, items: Any, sizes: Any, image_sizes: Any) -> Any:
        """Boxes `(n, 4)`, xyxy in pixels, to windows in cells."""
        # The largest image that has so many cells, where its own size is not known.
        limits = (
            (sizes * self.step + int(2 * self.first_centre)) if image_sizes is None else image_sizes
        )
        limits = ops.cast(ops.take(ops.flip(limits, axis=1), items, axis=0), "float32")
        low, high = boxes[:, :2], boxes[:, 2:]
        holds = ops.all(
            ops.logical_and(ops.logical_and(low <= high, low < limits), high > 0), axis=1
        )
        holds = ops.logical_and(holds, ops.all(ops.isfinite(boxes), axis=1))
        _assertions.require(
            holds,
            "`boxes` must be finite, with left <= right and top <= bottom, and meet their image; "
            "give ragged boxes where images differ in number, instead of filling up.",
            "(image, left, top, right, bottom)",
            ops.concatenate([ops.cast(items, "float32")[:, None], boxes], axis=1),
            items=("box",),
        )
        boxes = ops.where(holds[:, None], boxes, ops.zeros_like(boxes))
        left, right = self._cells(boxes[:, 0], boxes[:, 2], ops.take(sizes[:, 1], items))
        top, bottom = self._cells(boxes[:, 1], boxes[:, 3], ops.take(sizes[:, 0], items))
        return ops.stack([top, left, bottom, right], axis=1)

    def _cells(self, low: Any, high: Any, cells: Any) -> tuple[Any, Any]:
        low = (low - self.first_centre) / self.step
        high = (high - self.first_centre) / self.step
        limit = ops.cast(cells, "float32")
        nearest = ops.clip(ops.floor((low + high) / 2 + 0.5), 0, limit - 1)
        start = ops.clip(ops.floor(low) + 1, 0, limit)
        stop = ops.clip(ops.ceil(high), 0, limit)
        empty = stop <= start
        start = ops.where(empty, nearest, start)
        stop = ops.where(empty, nearest + 1, stop)
        return ops.cast(start, "int32"), ops.cast(stop, "int32")

    def compute_output_spec(self, features, boxes, sizes=None, image_sizes=None):
        channels = features.shape[1 if self.data_format == "channels_first" else -1]
        bins = sum(rows * columns for rows, columns in self.levels)
        shape = (features.shape[0], boxes.shape[1], bins * channels)
        return keras.KerasTensor(
            shape, self.compute_dtype, ragged=bool(getattr(boxes, "ragged", False))
        )

    def get_config(self):
        return {
            **super().get_config(),
            "step": self.step,
            "first_centre": self.first_centre,
            "levels": self.levels,
            "mode": self.mode,
            "bounding_box_format": self.bounding_box_format,
            "data_format": self.data_format,
        }


def _flatten(boxes: Any, batch: Any) -> tuple[Any, Any]:
    """All boxes of the batch, `(n, 4)`, and the image of each, `(n,)`."""
    if _ragged.is_ragged(boxes):
        if boxes.ragged_rank != 1:
            raise ValueError(
                "Ragged `boxes` must be (batch, (boxes), 4), with 4 not ragged. "
                f"Received: boxes of shape {tuple(boxes.shape)}, ragged rank {boxes.ragged_rank}."
            )
        return ops.cast(boxes.flat_values, "float32"), ops.cast(boxes.value_rowids(), "int32")
    boxes = ops.cast(boxes, "float32")
    items = ops.repeat(ops.arange(batch, dtype="int32"), ops.shape(boxes)[1])
    return ops.reshape(boxes, (-1, 4)), items


def _to_pixels(boxes: Any, items: Any, image_sizes: Any, bounding_box_format: str) -> Any:
    height = width = None
    if image_sizes is not None:
        height, width = (ops.take(image_sizes[:, i], items)[:, None] for i in (0, 1))
    return keras.utils.bounding_boxes.convert_format(
        boxes, source=bounding_box_format, target="xyxy", height=height, width=width
    )
