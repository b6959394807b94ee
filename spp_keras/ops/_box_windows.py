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
            Defaults to the largest that give feature maps of `sizes`. Needed for a
            grid with `shifts`.
    """
    height = width = image_size = None
    if image_sizes is not None:
        image_size = ops.take(image_sizes, batch_indices, axis=0)
        height, width = image_size[:, :1], image_size[:, 1:]
    else:
        image_sizes = grid.max_pixels(sizes)
    first_row, first_column = first_centers(grid, image_size)
    boxes = keras.utils.bounding_boxes.convert_format(
        boxes, source=bounding_box_format, target="xyxy", height=height, width=width
    )
    boxes = _check_boxes(boxes, batch_indices, image_sizes)
    rows, columns = (ops.take(sizes[:, i], batch_indices) for i in (0, 1))
    left, right = _cell_range(boxes[:, 0], boxes[:, 2], first_column, grid.stride, columns)
    top, bottom = _cell_range(boxes[:, 1], boxes[:, 3], first_row, grid.stride, rows)
    return ops.stack([top, left, bottom, right], axis=1)


def first_centers(grid: geometry.CellGrid, image_sizes: Any) -> tuple[Any, Any]:
    """Pixels that the first row and the first column of cells are centered on.

    Args:
        grid: Positions of the cells.
        image_sizes: Integers `(..., 2)`, height and width of images. May be `None` for a grid
            without `shifts`.

    Returns:
        Two floats for a grid without `shifts`, else two float32 tensors `(...)`.
    """
    if not grid.shifts:
        return grid.first_center, grid.first_center
    if image_sizes is None:
        raise ValueError(
            "`image_sizes` must be given for a grid with `shifts`, whose cells move with the size "
            f"of the image. Received: image_sizes=None with grid={grid}."
        )
    centers = [grid.first_center + shift for shift in grid.shifts]
    remainders = ops.mod(ops.cast(image_sizes, "int32"), len(centers))
    firsts = ops.take(ops.convert_to_tensor(centers, "float32"), remainders)
    return firsts[..., 0], firsts[..., 1]


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


def _cell_range(low: Any, high: Any, first_center: Any, stride: int, cells: Any) -> tuple[Any, Any]:
    """First cell whose center is in `(low, high)`, and the one after the last."""
    low = (low - first_center) / stride
    high = (high - first_center) / stride
    limit = ops.cast(cells, "float32")
    start = ops.clip(ops.floor(low) + 1, 0, limit)
    stop = ops.clip(ops.ceil(high), 0, limit)
    empty = stop <= start
    nearest = ops.clip(ops.floor((low + high) / 2 + 0.5), 0, limit - 1)
    start = ops.where(empty, nearest, start)
    stop = ops.where(empty, nearest + 1, stop)
    return ops.cast(start, "int32"), ops.cast(stop, "int32")
