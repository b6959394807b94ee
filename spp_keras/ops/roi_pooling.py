"""RoI pooling and RoI align, with the meaning and the answers of torchvision."""

import functools
from typing import Any

import numpy as np
from keras import ops

from spp_keras import _checks
from spp_keras.ops import _assertions, _grid_pooling, _inputs, _window_pooling
from spp_keras.ops.pyramid_pooling import DataFormat

# A sample counts for cells less than one away from it, and of several samples neighbors are more
# than half a cell apart: that is at most 5 for a cell, and one more for rounding.
_SAMPLES_OF_A_CELL = 6
# Beyond any feature map, while products with numbers of bins fit int32.
_MAX_CELL = 2.0**19


def roi_pool(
    features: Any,
    boxes: Any,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sizes: Any = None,
    data_format: DataFormat | None = None,
) -> Any:
    """RoI pooling of Fast R-CNN: the maxima of a grid of bins over each box.

    Box corners are rounded to cells, both ends inclusive, and a box of
    no cell becomes one of one cell; a bin outside the feature map gives 0. The answers are
    those of `torchvision.ops.roi_pool`. Tied cells share the gradient of a bin;
    torchvision gives it to the first.

    `roi_spatial_pyramid_pool` maps boxes to cells by their centers and pools several
    grids at once.

    Args:
        features: Feature maps `(batch, height, width, channels)`.
        boxes: Boxes as left, top, right and bottom in pixels: a tensor `(batch, boxes, 4)`,
            or a `tf.RaggedTensor` `(batch, (boxes), 4)` where images differ in their
            number. torchvision's list of `(n, 4)` tensors is `tf.ragged.stack(list)`;
            its `(K, 5)` tensor, sorted by the image index in the first column, is
            `tf.RaggedTensor.from_value_rowids(rois[:, 1:], rois[:, 0], nrows=batch)`,
            and the result's `flat_values` are in its order.
        output_size: Rows and columns of the grid, or an int for both.
        spatial_scale: Cells of the feature map per pixel, 1/16 for a stride of 16.
        sizes: Integer tensor `(batch, 2)`, the valid rows and columns of each
            feature map of a padded batch. Defaults to all.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.

    Returns:
        `(batch, boxes, rows, columns, channels)`, channels first
        `(batch, boxes, channels, rows, columns)`, ragged if the boxes are.

    Example:

    >>> features = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> grids = roi_pool(features, np.array([[[0, 0, 3, 3]]]), output_size=2)
    >>> np.array(grids)[0, 0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    rows, columns = _checks.size_pair(output_size, "output_size")
    spatial_scale = _checks.positive(spatial_scale, "spatial_scale")
    features, sizes = _inputs.prepare_roi_maps(
        features, sizes, data_format, _window_pooling.MAX_SIDE
    )
    batch, height, width, channels = ops.shape(features)
    if sizes is None:
        sizes = _inputs.full_sizes(features)
    flat, batch_indices = _inputs.flatten_boxes(boxes, batch)
    corners = _round_half_away(_check_boxes(flat, batch_indices) * spatial_scale)
    box_sizes = ops.take(sizes, batch_indices, axis=0)
    top, bottom, no_row = _roi_bins(corners[:, 1], corners[:, 3], rows, box_sizes[:, 0])
    left, right, no_column = _roi_bins(corners[:, 0], corners[:, 2], columns, box_sizes[:, 1])
    bins = _window_pooling.BinGrid(top, bottom, left, right)
    maxima = _window_pooling.max_bins(features, [bins], batch_indices, height, width)
    grids = ops.reshape(maxima, (-1, rows, columns, channels))
    empty = ops.logical_or(no_row[:, :, None], no_column[:, None, :])[..., None]
    grids = ops.where(empty, ops.zeros((), dtype=grids.dtype), grids)
    return _arrange(_inputs.unflatten_boxes(grids, boxes, batch), data_format)


def roi_align(
    features: Any,
    boxes: Any,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    sizes: Any = None,
    data_format: DataFormat | None = None,
) -> Any:
    """RoI align of Mask R-CNN: means of bilinear samples in a grid of bins over each box.

    Box corners are not rounded. The answers are those of `torchvision.ops.roi_align`; only
    a sample exactly one cell beyond the feature map, the last that counts, may be left out
    where XLA rounds a division. Features get a gradient, boxes do not.

    Args:
        features: Feature maps `(batch, height, width, channels)`.
        boxes: See `roi_pool`.
        output_size: Rows and columns of the grid, or an int for both.
        spatial_scale: Cells of the feature map per pixel, 1/16 for a stride of 16.
        sampling_ratio: Samples of a bin along each axis. Defaults to -1: as many as the
            bin has cells, rounded up.
        aligned: Whether boxes are shifted by half a cell, so that pixel and cell centers
            correspond (detectron2's "ROIAlignV2"). Without it a box is at least one cell
            high and wide.
        sizes: See `roi_pool`.
        data_format: See `roi_pool`.

    Returns:
        As `roi_pool`.

    Example:

    >>> features = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> grids = roi_align(features, np.array([[[0, 0, 4, 4]]]), output_size=2, aligned=True)
    >>> np.array(grids)[0, 0, :, :, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    rows, columns = _checks.size_pair(output_size, "output_size")
    spatial_scale = _checks.positive(spatial_scale, "spatial_scale")
    sampling_ratio = _checks.at_least(sampling_ratio, -1, "sampling_ratio")
    features, sizes = _inputs.prepare_roi_maps(features, sizes, data_format)
    if sizes is None:
        sizes = _inputs.full_sizes(features)
    else:
        features = _grid_pooling.zero_padding(features, sizes)
    batch, height, width, channels = ops.shape(features)
    flat, batch_indices = _inputs.flatten_boxes(boxes, batch)
    corners = _check_boxes(flat, batch_indices) * spatial_scale - (0.5 if aligned else 0.0)
    # One row of boxes for each feature map, so that a matrix product serves all of them.
    corners = _as_dense(corners, boxes, batch)
    count = ops.shape(corners)[1]
    row_weights = _sample_weights(
        corners[..., 1], corners[..., 3], rows, sampling_ratio, aligned, sizes[:, 0], height
    )
    column_weights = _sample_weights(
        corners[..., 0], corners[..., 2], columns, sampling_ratio, aligned, sizes[:, 1], width
    )
    dtype = features.dtype
    sum_dtype = "float64" if dtype == "float64" else "float32"
    x = ops.reshape(ops.cast(features, sum_dtype), (batch, height, width * channels))
    row_weights = ops.reshape(ops.cast(row_weights, sum_dtype), (batch, count * rows, height))
    strips = ops.reshape(ops.matmul(row_weights, x), (batch, count, rows, width, channels))
    grids = ops.matmul(ops.expand_dims(ops.cast(column_weights, sum_dtype), 2), strips)
    return _arrange(_as_given(ops.cast(grids, dtype), boxes), data_format)


def _check_boxes(boxes: Any, batch_indices: Any) -> Any:
    low, high = boxes[:, :2], boxes[:, 2:]
    holds = ops.all(ops.logical_and(low <= high, ops.isfinite(high - low)), axis=1)
    _assertions.require(
        holds,
        "`boxes` must be finite, with left <= right and top <= bottom.",
        "(image, left, top, right, bottom)",
        ops.concatenate([ops.cast(batch_indices, "float32")[:, None], boxes], axis=1),
        items=("box",),
    )
    # The assertion is to stop the graph, not an operation beside it that fails on bad boxes.
    return ops.where(holds[:, None], boxes, ops.zeros_like(boxes))


def _arrange(grids: Any, data_format: str | None) -> Any:
    if _checks.data_format(data_format) == "channels_last":
        return grids
    if _inputs.is_ragged(grids):
        return grids.with_flat_values(ops.transpose(grids.flat_values, (0, 3, 1, 2)))
    return ops.transpose(grids, (0, 1, 4, 2, 3))


def _as_dense(flat: Any, boxes: Any, batch: Any) -> Any:
    """`(batch, boxes, ...)` from the flat values, filled up with zeros where boxes are ragged."""
    if _inputs.is_ragged(boxes):
        return boxes.with_flat_values(flat).to_tensor()
    return _inputs.unflatten_boxes(flat, boxes, batch)


def _as_given(grids: Any, boxes: Any) -> Any:
    """Grids `(batch, boxes, ...)`, ragged where the boxes are."""
    if not _inputs.is_ragged(boxes):
        return grids
    import tensorflow as tf

    inside = tf.sequence_mask(boxes.row_lengths(), tf.shape(grids)[1])
    return boxes.with_flat_values(tf.boolean_mask(grids, inside))


# RoI pooling.


def _round_half_away(x: Any) -> Any:
    """Rounding of C: halves away from zero; int32."""
    x = ops.clip(x, -_MAX_CELL, _MAX_CELL)
    whole = ops.trunc(x)
    away = ops.cast(ops.abs(x - whole) >= 0.5, x.dtype)
    return ops.cast(whole + ops.sign(x) * away, "int32")


def _roi_bins(first: Any, last: Any, bins: int, limits: Any) -> tuple[Any, Any, Any]:
    """First cells, cells after the last, and whether there are none: `(n, bins)` each.

    Args:
        first: First cell of each box, `(n,)`.
        last: Its last cell.
        bins: Number of bins.
        limits: Number of cells of its feature map.
    """
    length = ops.maximum(last - first + 1, 1)[:, None]
    index = np.arange(bins, dtype="int32")[None, :]
    starts = (index * length) // bins
    stops = ((index + 1) * length + bins - 1) // bins
    # torchvision multiplies a rounded quotient, which for some lengths adds a cell.
    offsets = _rounding_offsets(bins)
    offsets = ops.take(offsets, ops.minimum(length[:, 0], len(offsets) - 1), axis=0)
    limits = limits[:, None]
    starts = ops.clip(starts + offsets[:, 0] + first[:, None], 0, limits)
    stops = ops.clip(stops + offsets[:, 1] + first[:, None], 0, limits)
    empty = stops <= starts
    starts = ops.where(empty, ops.zeros_like(starts), starts)
    return starts, ops.where(empty, ops.ones_like(stops), stops), empty


@functools.cache
def _rounding_offsets(bins: int) -> np.ndarray:
    """By how much float32 moves the edges of bins, `(lengths, 2, bins)`; 0 for the last length."""
    length = np.arange(_window_pooling.MAX_SIDE + 3)[:, None]
    index = np.arange(bins)
    quotient = length.astype("float32") / np.float32(bins)
    starts = np.floor(index.astype("float32") * quotient) - index * length // bins
    stops = np.ceil((index + 1).astype("float32") * quotient)
    stops -= ((index + 1) * length + bins - 1) // bins
    offsets = np.stack([starts, stops], axis=1).astype("int32")
    offsets[-1] = 0
    return offsets


# RoI align.


def _sample_weights(
    low: Any, high: Any, bins: int, sampling_ratio: int, aligned: bool, sizes: Any, padded: Any
) -> Any:
    """Weight of every cell in the mean of every bin: `(batch, boxes, bins, padded)`.

    A bilinear sample is the product of a weight along rows and one along columns, and
    so is their mean: RoI align is a matrix product along each axis.

    Args:
        low: First ends of boxes, in cells, `(batch, boxes)`.
        high: Last ends.
        bins: Number of bins.
        sampling_ratio: Samples of a bin, or adaptive.
        aligned: Whether boxes may be shorter than a cell.
        sizes: Number of valid cells of each feature map, `(batch,)`.
        padded: Number of cells.
    """
    length = high - low if aligned else ops.maximum(high - low, 1.0)
    # TFLite has no indexing that adds three axes.
    low, length = ops.expand_dims(low, (2, 3, 4)), ops.expand_dims(length, (2, 3, 4))
    # Divisors that are no constants, for which compilers would multiply by a rounded reciprocal:
    # a sample on the border of the feature map would count or not.
    bin_length = length / ops.where(length >= 0, float(bins), 1.0)
    index = ops.reshape(ops.arange(bins, dtype="float32"), (bins, 1, 1))
    start = low + index * bin_length
    cells = ops.reshape(ops.arange(padded, dtype="float32"), (padded, 1))
    if sampling_ratio > 0:
        count = ops.where(length >= 0, float(sampling_ratio), 1.0)
        sample = ops.arange(sampling_ratio, dtype="float32")
    else:
        count = ops.ceil(bin_length)
        # Of many samples, those near the cell.
        step = ops.where(count > 0, bin_length / ops.maximum(count, 1.0), ops.ones_like(length))
        sample = ops.floor((cells - 1 - start) / step - 0.5)
        sample = ops.clip(sample, 0.0, ops.maximum(count - 1, 0.0))
        sample = sample + ops.arange(_SAMPLES_OF_A_CELL, dtype="float32")
    position = start + (sample + 0.5) * bin_length / ops.maximum(count, 1.0)
    last = ops.expand_dims(ops.cast(sizes, "float32"), (1, 2, 3, 4)) - 1
    inside = ops.logical_and(position >= -1, position <= last + 1)
    inside = ops.logical_and(inside, sample < count)
    weight = ops.maximum(1 - ops.abs(ops.clip(position, 0.0, last) - cells), 0.0)
    weight = ops.where(inside, weight, ops.zeros_like(weight))
    weight = ops.sum(weight, axis=-1) / ops.squeeze(ops.maximum(count, 1.0), -1)
    return ops.stop_gradient(weight)
