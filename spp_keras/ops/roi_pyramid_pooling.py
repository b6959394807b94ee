"""Spatial pyramid pooling of boxes, and the mapping of the paper from pixels to cells."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from spp_keras import _checks, geometry
from spp_keras.ops import _assertions, _box_windows, _grid_pooling, _inputs, _window_pooling
from spp_keras.ops.pyramid_pooling import DataFormat, Mode


def boxes_to_cells(
    boxes: Any,
    grid: geometry.CellGrid,
    sizes: Any,
    image_sizes: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """The windows of feature map cells that boxes cover: the mapping of the SPP-net paper.

    A box covers the cells whose centers lie strictly inside it. A box between
    centers gets the cell nearest to its middle; one that leaves the image is cut
    at its border.

    Args:
        boxes: Tensor `(batch, boxes, 4)`, or a `tf.RaggedTensor`
            `(batch, (boxes), 4)` where images differ in their number.
        grid: Positions of the cells, see `spp_keras.geometry.CellGrid`.
        sizes: Integer tensor `(batch, 2)`, rows and columns of each feature map.
        image_sizes: Integer tensor `(batch, 2)`, height and width in pixels of
            each image. Needed for the relative box formats and for a grid with
            `shifts`.
        bounding_box_format: A format of `keras.utils.bounding_boxes`.

    Returns:
        int32 in the form of `boxes`: first row, first column, and the row and the
        column after the last.

    Example:

    >>> grid = geometry.CellGrid(stride=16, first_center=14)
    >>> windows = boxes_to_cells(np.array([[[30, 40, 90, 70]]]), grid, np.array([[13, 13]]))
    >>> np.array(windows).tolist()
    [[[2, 2, 4, 5]]]
    """
    _checks.one_of(bounding_box_format, _box_windows.BOX_FORMATS, "bounding_box_format")
    batch = ops.shape(sizes)[0]
    sizes = _assertions.check_pairs(sizes, batch, "sizes")
    image_sizes = _box_windows.check_image_sizes(image_sizes, bounding_box_format, batch)
    flat, batch_indices = _inputs.flatten_boxes(boxes, batch)
    windows = _box_windows.to_windows(
        flat, batch_indices, bounding_box_format, grid, sizes, image_sizes
    )
    return _inputs.unflatten_boxes(windows, boxes, batch)


def roi_spatial_pyramid_pool(
    features: Any,
    boxes: Any,
    grid: geometry.CellGrid,
    levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
    mode: Mode = "max",
    sizes: Any = None,
    image_sizes: Any = None,
    bounding_box_format: str = "xyxy",
    data_format: DataFormat | None = None,
) -> Any:
    """Spatial pyramid pooling of boxes (RoIs): a vector of fixed length for each.

    The operation of the layer `RoISpatialPyramidPooling`, which describes it.

    Args:
        features: Feature maps `(batch, height, width, channels)`.
        boxes: Tensor `(batch, boxes, 4)`, or a `tf.RaggedTensor`
            `(batch, (boxes), 4)` where images differ in their number.
        grid: Positions of the cells, see `spp_keras.geometry.CellGrid`.
        levels: Sequence of ints, or of `(rows, columns)` pairs.
        mode: `"max"` or `"average"`.
        sizes: Integer tensor `(batch, 2)`, the valid rows and columns of each
            feature map. Defaults to all.
        image_sizes: Integer tensor `(batch, 2)`, height and width in pixels of
            each image, see the layer.
        bounding_box_format: A format of `keras.utils.bounding_boxes`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.

    Returns:
        `(batch, boxes, bins * channels)`, ragged if the boxes are.

    Example:

    >>> grid = geometry.CellGrid(stride=16, first_center=14)
    >>> boxes = np.array([[[0, 0, 224, 224], [30, 40, 90, 70]]])
    >>> tuple(roi_spatial_pyramid_pool(np.ones((1, 13, 13, 4)), boxes, grid, (2, 1)).shape)
    (1, 2, 20)
    """
    levels = _checks.levels(levels)
    _checks.one_of(mode, ("max", "average"), "mode")
    _checks.one_of(bounding_box_format, _box_windows.BOX_FORMATS, "bounding_box_format")
    features, sizes = _inputs.prepare_roi_maps(
        features, sizes, data_format, _window_pooling.MAX_SIDE
    )
    batch = ops.shape(features)[0]
    image_sizes = _box_windows.check_image_sizes(image_sizes, bounding_box_format, batch)
    if sizes is None:
        sizes = _valid_sizes(features, grid, image_sizes)
    flat, batch_indices = _inputs.flatten_boxes(boxes, batch)
    windows = _box_windows.to_windows(
        flat, batch_indices, bounding_box_format, grid, sizes, image_sizes
    )
    if mode == "average":
        features = _grid_pooling.zero_padding(features, sizes)
    pool = _window_pooling.max_windows if mode == "max" else _window_pooling.average_windows
    return _inputs.unflatten_boxes(pool(features, windows, batch_indices, levels), boxes, batch)


def _valid_sizes(features: Any, grid: geometry.CellGrid, image_sizes: Any) -> Any:
    """Rows and columns of each feature map, as follows from the sizes of the images."""
    sizes = _inputs.full_sizes(features)
    if image_sizes is None:
        return sizes
    # Padding that is not the same on both sides may leave a cell less than the grid has.
    return _assertions.check_sizes(ops.minimum(grid.map_size(image_sizes), sizes), features)
