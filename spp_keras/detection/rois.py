"""RoIs of an image: which of them count, and their pooling from feature maps of several scales."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from spp_keras.layers import RoISpatialPyramidPooling
from spp_keras.ops import clip_boxes


def prepare_rois(boxes: Any, image_size: Any) -> tuple[Any, Any]:
    """Boxes clipped to the image, behind one for the whole image, and which of them count.

    The first box makes sure that there is one. It does not count, and neither do boxes
    without area, which become the whole image.

    Args:
        boxes: `(n, 4)`.
        image_size: int32 `(2,)`, height and width of the image.

    Returns:
        float32 `(1 + n, 4)` and bool `(1 + n,)`.
    """
    boxes = tf.cast(boxes, tf.float32)
    ordered = tf.reduce_all(boxes[:, 2:] >= boxes[:, :2])
    message = "`boxes` must be finite, with left <= right and top <= bottom."
    check = tf.debugging.Assert(ordered, [message, "Received:", boxes], summarize=8)
    with tf.control_dependencies([check] if check is not None else []):
        boxes = clip_boxes(boxes, image_size)
    whole = tf.cast(tf.concat([[0, 0], image_size[::-1]], axis=0), tf.float32)
    has_area = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
    boxes = tf.where(has_area[:, tf.newaxis], boxes, whole)
    return (
        tf.concat([whole[tf.newaxis], boxes], axis=0),
        tf.concat([[False], has_area], axis=0),
    )


def pool_multiscale(
    pooling: RoISpatialPyramidPooling,
    feature_maps: Sequence[Any],
    rois: Any,
    image_size: Any,
    scaled_sizes: Any,
    input_size: int,
) -> tuple[Any, Any]:
    """Pools each RoI from the feature map of its scale, those on the same cells once.

    Args:
        pooling: The pooling layer.
        feature_maps: The feature map of each scale, `(1, rows, columns, channels)`.
        rois: float32 `(n, 4)`, in pixels of the image.
        image_size: int32 `(2,)`, height and width of the image.
        scaled_sizes: int32 `(scales, 2)`, height and width of the image at each scale.
        input_size: Side of the square whose area a scaled RoI should have.

    Returns:
        Vectors of the distinct RoIs, and for each RoI the row of its vector.
    """
    # float32, as TFLite divides nothing else.
    factors = tf.cast(scaled_sizes, tf.float32)
    factors /= tf.cast(tf.maximum(image_size, 1), tf.float32)
    scale_indices = _assign_scales(rois, factors, input_size)
    map_sizes = tf.stack([tf.shape(feature_map)[1:3] for feature_map in feature_maps])
    scaled = rois * tf.gather(tf.gather(factors, scale_indices), [1, 0, 1, 0], axis=1)
    windows = pooling.windows(scaled, scale_indices, map_sizes, scaled_sizes)
    windows, scale_indices, rows = _merge_equal(windows, scale_indices)
    if len(feature_maps) == 1:
        return pooling.pool(feature_maps[0], windows, scale_indices), rows
    vectors, order = [], []
    for i, feature_map in enumerate(feature_maps):
        indices = tf.cast(tf.where(tf.equal(scale_indices, i))[:, 0], tf.int32)
        # One window more, so that there is one; no row refers to it.
        here = tf.concat([tf.gather(windows, indices), [[0, 0, 1, 1]]], axis=0)
        vectors.append(pooling.pool(feature_map, here, tf.zeros_like(here[:, 0])))
        order += [indices, tf.shape(windows)[:1]]
    order = tf.concat(order, axis=0)
    places = tf.scatter_nd(
        order[:, tf.newaxis], tf.range(tf.shape(order)[0]), tf.shape(windows)[:1] + 1
    )
    return tf.concat(vectors, axis=0), tf.gather(places, rows)


def _assign_scales(rois: Any, factors: Any, input_size: int) -> Any:
    """For each RoI the scale at which its area is nearest to `input_size` squared."""
    extents = rois[:, 2:] - rois[:, :2]
    areas = tf.reduce_prod(extents, axis=1, keepdims=True) * tf.reduce_prod(factors, axis=1)
    return tf.argmin(tf.abs(areas - float(input_size**2)), axis=1, output_type=tf.int32)


def _merge_equal(windows: Any, scale_indices: Any) -> tuple[Any, Any, Any]:
    """Distinct windows, the scale of each, and for each given window its row among them."""
    fields = tf.cast(tf.concat([scale_indices[:, tf.newaxis], windows], axis=1), tf.int64)
    keys = tf.reduce_sum(fields * [2**40, 2**30, 2**20, 2**10, 1], axis=1)
    keys, rows = tf.unique(keys)
    first = tf.math.unsorted_segment_min(tf.range(tf.shape(rows)[0]), rows, tf.shape(keys)[0])
    return tf.gather(windows, first), tf.gather(scale_indices, first), rows
