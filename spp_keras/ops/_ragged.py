"""Ragged batches: images or feature maps of different sizes in a `tf.RaggedTensor`."""

from typing import Any

import keras

from spp_keras.ops import _assertions


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
