"""Images of a request in groups, packed on canvases, so that memory and time are bounded."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# One more, so that both cores of a small machine have work, and few, as the feature maps of each
# group take memory.
_PARALLEL_GROUPS = 2


def map_in_groups(
    function: Callable[[Any], Any], pixels: Any, max_pixels: int, channels: int
) -> tf.Tensor:
    """Applies a function to groups of images, smaller images first.

    Args:
        function: From the indices of the images of a group, int32 `(group,)`, to float32
            `(group, channels)`.
        pixels: int32 `(images,)`, pixels of each image.
        max_pixels: Pixels of the images of a group. A larger image is alone.
        channels: Values of each image.

    Returns:
        float32 `(images, channels)`, in the order of the images.
    """
    order = tf.argsort(pixels, stable=True)
    groups = _number_groups(tf.gather(pixels, order), max_pixels)
    members = tf.RaggedTensor.from_value_rowids(order, groups)
    values = concatenate_results(
        lambda index: function(members[index]),
        members.nrows(tf.int32),
        tf.TensorSpec((None, channels), tf.float32),
        _PARALLEL_GROUPS,
    )
    return tf.gather(values, tf.argsort(order))


def concatenate_results(
    function: Callable[[Any], Any], count: Any, spec: Any, parallel_iterations: int = 1
) -> Any:
    """Results of a function of 0, 1, ... as one tensor, or a structure of tensors.

    Args:
        function: From an int32 index to tensors, as many rows as it likes.
        count: Number of indices.
        spec: `tf.TensorSpec` of a result, its first axis `None`, or a structure of these.
        parallel_iterations: Indices that are worked on at once. Defaults to 1.
    """
    arrays = tf.nest.map_structure(
        lambda row: tf.TensorArray(row.dtype, count, element_shape=row.shape, infer_shape=False),
        spec,
    )

    def write(index: Any, arrays: Any) -> tuple[Any, Any]:
        results = function(index)
        written = tf.nest.map_structure(
            lambda array, value: array.write(index, value), arrays, results
        )
        return index + 1, written

    _, arrays = tf.while_loop(
        lambda index, _: index < count,
        write,
        (0, arrays),
        parallel_iterations=parallel_iterations,
    )
    return tf.nest.map_structure(lambda array: array.concat(), arrays)


def _number_groups(pixels: Any, max_pixels: int) -> Any:
    """The group of each image: as many neighbors as fit."""

    def add(state: tuple[Any, Any], image: Any) -> tuple[Any, Any]:
        total, group = state
        fits = total + image <= max_pixels
        return tf.where(fits, total + image, image), tf.where(fits, group, group + 1)

    _, groups = tf.scan(add, pixels, (tf.constant(0), tf.constant(0)))
    # The first image alone may be too large for the group that it begins.
    return groups - groups[:1]
