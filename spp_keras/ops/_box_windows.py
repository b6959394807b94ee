"""Windows of feature map cells from boxes in pixels, the mapping of the SPP-net paper."""

from typing import Any

import keras
from keras import ops

from spp_keras import geometry
from spp_keras.ops import _assertions

BOX_FORMATS = (
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


def check_image_sizes(image_sizes: Any, bounding_box_format: str, batch: Any) -> Any:
    """`image_sizes` as int32 `(batch, 2)` or `None`, which relative formats do not allow."""
    if image_sizes is not None:
        return _assertions.check_pairs(image_sizes, batch, "image_sizes")
    if bounding_box_format.startswith("rel_"):
        raise ValueError(
            "`image_sizes` must be given for boxes relative to the image. Received: "
            f"image_sizes=None with bounding_box_format={bounding_box_format!r}."
        )
    return None


def to_windows(
    boxes: Any,
    batch_indices: Any,
    bounding_box_format: str,
    grid: geometry.CellGrid,
    sizes: Any,
    image_sizes: Any = None,
) -> Any:
    """Windows `(n, 4)`: first row and column, and the row and column after the last.

    Args:
        boxes: `(n, 4)` in `bounding_box_format`.
        batch_indices: `(n,)`, the index of each box's image.
        bounding_box_format: A format of `keras.utils.bounding_boxes`.
        grid: Positions of the cells of the feature maps.
        sizes: `(batch, 2)`, rows and columns of each feature map.
        image_sizes: `(batch, 2)`, height and width of each image in pixels.
            Defaults to the largest that give feature maps of `sizes`.
    """
    height = width = None
    if image_sizes is not None:
        height, width = (ops.take(image_sizes[:, i], batch_indices)[:, None] for i in (0, 1))
    else:
        image_sizes = grid.max_pixels(sizes)
    boxes = keras.utils.bounding_boxes.convert_format(
        boxes, source=bounding_box_format, target="xyxy", height=height, width=width
    )
    boxes = _check_boxes(boxes, batch_indices, image_sizes)
    rows, columns = (ops.take(sizes[:, i], batch_indices) for i in (0, 1))
    left, right = _cell_range(boxes[:, 0], boxes[:, 2], grid, columns)
    top, bottom = _cell_range(boxes[:, 1], boxes[:, 3], grid, rows)
    return ops.stack([top, left, bottom, right], axis=1)


def _check_boxes(boxes: Any, batch_indices: Any, image_sizes: Any) -> Any:
    limits = ops.cast(ops.take(ops.flip(image_sizes, axis=1), batch_indices, axis=0), "float32")
    low, high = boxes[:, :2], boxes[:, 2:]
    ordered = ops.logical_and(low <= high, ops.isfinite(high - low))
    meets = ops.logical_and(low < limits, high > 0)
    holds = ops.all(ops.logical_and(ordered, meets), axis=1)
    _assertions.require(
        holds,
        "`boxes` must be finite, with left <= right and top <= bottom, and meet their image; "
        "give ragged boxes where images differ in number, instead of filling up.",
        "(image, left, top, right, bottom)",
        ops.concatenate([ops.cast(batch_indices, "float32")[:, None], boxes], axis=1),
        items=("box",),
    )
    # The assertion is to stop the graph, not an operation beside it that fails on bad boxes.
    return ops.where(holds[:, None], boxes, ops.zeros_like(boxes))


def _cell_range(low: Any, high: Any, grid: geometry.CellGrid, cells: Any) -> tuple[Any, Any]:
    """First cell whose center is in `(low, high)`, and the one after the last."""
    low = (low - grid.first_center) / grid.stride
    high = (high - grid.first_center) / grid.stride
    limit = ops.cast(cells, "float32")
    start = ops.clip(ops.floor(low) + 1, 0, limit)
    stop = ops.clip(ops.ceil(high), 0, limit)
    empty = stop <= start
    nearest = ops.clip(ops.floor((low + high) / 2 + 0.5), 0, limit - 1)
    start = ops.where(empty, nearest, start)
    stop = ops.where(empty, nearest + 1, stop)
    return ops.cast(start, "int32"), ops.cast(stop, "int32")
