"""Checks and layouts of the arguments that all pooling operations share, ragged ones included."""

from typing import Any

import keras
import numpy as np
from keras import ops

from spp_keras import _checks
from spp_keras.ops import _assertions


def prepare_maps(
    features: Any, sizes: Any, data_format: str | None, name: str, max_side: int | None = None
) -> tuple[Any, Any]:
    """Feature maps with channels last and their sizes, checked.

    Args:
        features: Tensor of feature maps.
        sizes: Rows and columns of each feature map, or `None`.
        data_format: Of `features`.
        name: Name of the argument in errors.
        max_side: Most rows and most columns. Defaults to any number.

    Returns:
        The tensor; and `sizes` as int32 `(batch, 2)`, or `None` where all cells are valid.
    """
    data_format = _checks.data_format(data_format)
    if isinstance(features, keras.KerasTensor):
        raise ValueError(
            f"`{name}` must be a tensor: in a functional model call the layer of this operation, "
            f"see `spp_keras.layers`. Received: {name}={features!r}."
        )
    features = ops.convert_to_tensor(features)
    _checks.feature_maps(features.shape, data_format, name)
    if data_format == "channels_first":
        features = ops.transpose(features, (0, 2, 3, 1))
    features = _assertions.check_map_size(features, max_side)
    if sizes is not None:
        sizes = _assertions.check_sizes(sizes, features)
    return features, sizes


def prepare_ragged_maps(
    features: Any, sizes: Any, data_format: str | None, name: str
) -> tuple[Any, Any]:
    """Feature maps, dense, packed or ragged, and their sizes, checked; see `prepare_maps`.

    Those of packed maps, with several images on one, are `(images, 5)`.
    """
    if not is_ragged(features):
        shape = sizes.shape if hasattr(sizes, "shape") else np.shape(sizes)
        if sizes is None or tuple(shape[1:]) != (5,):
            return prepare_maps(features, sizes, data_format, name)
        features, _ = prepare_maps(features, None, data_format, name)
        placements = _assertions.check_placements(ops.convert_to_tensor(sizes), features)
        return features, placements
    _checks.channels_last_only(_checks.data_format(data_format), f"ragged `{name}`")
    if sizes is not None:
        raise ValueError(f"`sizes` must be None for ragged `{name}`, which hold their own.")
    return features, item_sizes(features, name)


def prepare_roi_maps(
    features: Any, sizes: Any, data_format: str | None, max_side: int | None = None
) -> tuple[Any, Any]:
    """Feature maps to pool boxes from, and their sizes, checked; see `prepare_maps`."""
    if is_ragged(features):
        raise ValueError(
            "`features` must be a tensor; give maps of different sizes padded to one, with "
            "their `sizes`. Received: a ragged tensor."
        )
    return prepare_maps(features, sizes, data_format, "features", max_side)


def full_sizes(features: Any) -> Any:
    """int32 `(batch, 2)`: all rows and columns of each feature map."""
    batch, height, width, _ = ops.shape(features)
    sizes = ops.cast(ops.stack([height, width]), "int32")
    return ops.tile(ops.reshape(sizes, (1, 2)), (batch, 1))


def flatten_boxes(boxes: Any, batch: Any) -> tuple[Any, Any]:
    """All boxes of a batch, float32 `(n, 4)`, and the index of each one's image, int32 `(n,)`."""
    ragged = is_ragged(boxes)
    boxes = boxes if ragged else ops.convert_to_tensor(boxes)
    _checks.rank(boxes.shape, 3, "boxes", "(batch, boxes, 4)")
    rows = boxes.shape[0]
    if isinstance(rows, int) and isinstance(batch, int) and rows != batch:
        raise ValueError(
            f"`boxes` must have one row for each of the {batch} feature maps. "
            f"Received: boxes of shape {tuple(boxes.shape)}."
        )
    if boxes.shape[-1] != 4 or (ragged and boxes.ragged_rank != 1):
        raise ValueError(
            "`boxes` must be (batch, boxes, 4), where at most their number is ragged. "
            f"Received: boxes of shape {tuple(boxes.shape)}."
        )
    if ragged:
        counts = ops.stack([ops.cast(boxes.nrows(), "int32"), batch])
        check = _assertions.require(
            counts[0] == counts[1],
            "`boxes` must have one row for each feature map.",
            "rows and maps",
            counts,
            items=("the batch",),
        )
        indices = _assertions.after_checks([check], ops.cast(boxes.value_rowids(), "int32"))
        return ops.cast(boxes.flat_values, "float32"), indices
    indices = ops.repeat(ops.arange(batch, dtype="int32"), ops.shape(boxes)[1])
    return ops.reshape(ops.cast(boxes, "float32"), (-1, 4)), indices


def unflatten_boxes(values: Any, boxes: Any, batch: Any) -> Any:
    """What was computed for all boxes, `(n, ...)`, in the form of `boxes`."""
    if is_ragged(boxes):
        return boxes.with_flat_values(values)
    return ops.reshape(values, (batch, ops.shape(boxes)[1], *values.shape[1:]))


def is_ragged(x: Any) -> bool:
    """Whether `x` is a ragged tensor."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(x, tf.RaggedTensor)


def to_dense(x: Any, name: str) -> tuple[Any, Any]:
    """A ragged batch padded with zeros, and the height and width of each item."""
    sizes = item_sizes(x, name)
    return x.to_tensor(), sizes


def item_sizes(x: Any, name: str) -> Any:
    """Height and width of each item of a ragged batch, checked: int32 `(batch, 2)`.

    Args:
        x: `RaggedTensor` of shape `(batch, (height), (width), channels)`, the
            width ragged or the same for all.
        name: Name of the argument in errors.
    """
    import tensorflow as tf

    if x.shape.rank != 4 or x.ragged_rank not in (1, 2) or x.shape[-1] is None:
        raise ValueError(
            f"`{name}` must be (batch, (height), (width), channels) with as many channels in every "
            f"image: build it with `Dataset.ragged_batch`, `tf.ragged.stack` or "
            f"`tf.ragged.constant(..., inner_shape=(channels,))`. Received: {name} of shape "
            f"{tuple(x.shape)} and ragged rank {x.ragged_rank}."
        )
    heights = tf.cast(x.row_lengths(), tf.int32)
    assertions: list[Any] = []
    if x.ragged_rank == 1:
        widths = tf.fill(tf.shape(heights), tf.shape(x.values)[1])
    else:
        row_widths = x.with_values(tf.cast(x.values.row_lengths(), tf.int32))
        # The extremes of int32 for an image without rows; caught below.
        widths, narrowest = tf.reduce_max(row_widths, axis=1), tf.reduce_min(row_widths, axis=1)
        equal = _assertions.require(
            tf.logical_or(widths == narrowest, heights == 0),
            f"All rows of an image in `{name}` must have one length.",
            "shortest and longest row",
            tf.stack([narrowest, widths], axis=1),
        )
        assertions.append(equal)
    sizes = tf.stack([heights, tf.where(heights == 0, 0, widths)], axis=1)
    not_empty = _assertions.require(
        tf.reduce_all(sizes > 0, axis=1),
        f"Every image in `{name}` must have at least one row and one column; drop the empty ones.",
        "height and width",
        sizes,
    )
    assertions.append(not_empty)
    return _assertions.after_checks(assertions, sizes)
