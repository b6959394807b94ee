"""From boxes on images to windows of feature maps."""

from typing import Any

import keras
from keras import ops

from spp_keras import geometry
from spp_keras.layers import _assertions, _ragged


def flatten(boxes: Any, batch: Any) -> tuple[Any, Any]:
    """All boxes of a batch, float32 `(n, 4)`, and the image of each, int32 `(n,)`."""
    rows = boxes.shape[0]
    if isinstance(rows, int) and isinstance(batch, int) and rows != batch:
        raise ValueError(
            f"`boxes` must have one row for each of the {batch} feature maps. "
            f"Received: boxes of shape {tuple(boxes.shape)}."
        )
    if boxes.shape[-1] != 4 or (_ragged.is_ragged(boxes) and boxes.ragged_rank != 1):
        raise ValueError(
            "`boxes` must be (batch, boxes, 4), where at most their number is ragged. "
            f"Received: boxes of shape {tuple(boxes.shape)}."
        )
    if _ragged.is_ragged(boxes):
        counts = ops.stack([ops.cast(boxes.nrows(), "int32"), batch])
        check = _assertions.require(
            counts[0] == counts[1],
            "`boxes` must have one row for each feature map.",
            "rows and maps",
            counts,
            items=("the batch",),
        )
        items = _assertions.after([check], ops.cast(boxes.value_rowids(), "int32"))
        return ops.cast(boxes.flat_values, "float32"), items
    items = ops.repeat(ops.arange(batch, dtype="int32"), ops.shape(boxes)[1])
    return ops.reshape(ops.cast(boxes, "float32"), (-1, 4)), items


def to_windows(
    boxes: Any,
    items: Any,
    bounding_box_format: str,
    grid: geometry.CellGrid,
    sizes: Any,
    image_sizes: Any = None,
) -> Any:
    """Boxes `(n, 4)` to windows `(n, 4)`, first row and column and those after the last.

    Args:
        boxes: Boxes in `bounding_box_format`.
        items: `(n,)`, the image of each box.
        bounding_box_format: A format of `keras.utils.bounding_boxes`.
        grid: Where the cells of the maps lie.
        sizes: `(batch, 2)`, rows and columns of each map.
        image_sizes: `(batch, 2)`, height and width of each image in pixels.
            Defaults to the largest that give maps of `sizes`.
    """
    height = width = None
    if image_sizes is not None:
        height, width = (ops.take(image_sizes[:, i], items)[:, None] for i in (0, 1))
    else:
        image_sizes = grid.max_pixels(sizes)
    boxes = keras.utils.bounding_boxes.convert_format(
        boxes, source=bounding_box_format, target="xyxy", height=height, width=width
    )
    boxes = _checked(boxes, items, image_sizes)
    left, right = _cells(boxes[:, 0], boxes[:, 2], grid, ops.take(sizes[:, 1], items))
    top, bottom = _cells(boxes[:, 1], boxes[:, 3], grid, ops.take(sizes[:, 0], items))
    return ops.stack([top, left, bottom, right], axis=1)


def _checked(boxes: Any, items: Any, image_sizes: Any) -> Any:
    limits = ops.cast(ops.take(ops.flip(image_sizes, axis=1), items, axis=0), "float32")
    low, high = boxes[:, :2], boxes[:, 2:]
    ordered = ops.logical_and(low <= high, ops.isfinite(high - low))
    meets = ops.logical_and(low < limits, high > 0)
    holds = ops.all(ops.logical_and(ordered, meets), axis=1)
    _assertions.require(
        holds,
        "`boxes` must be finite, with left <= right and top <= bottom, and meet their image; "
        "give ragged boxes where images differ in number, instead of filling up.",
        "(image, left, top, right, bottom)",
        ops.concatenate([ops.cast(items, "float32")[:, None], boxes], axis=1),
        items=("box",),
    )
    # So that it is the assertion that stops a graph, not what runs beside it.
    return ops.where(holds[:, None], boxes, ops.zeros_like(boxes))


def _cells(low: Any, high: Any, grid: geometry.CellGrid, cells: Any) -> tuple[Any, Any]:
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
