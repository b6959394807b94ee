"""Checks of values: a `ValueError` where they are known, an assertion in the graph elsewhere."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def require(
    holds: Any, message: str, name: str, values: Any, items: Sequence[str] = ("image", "box")
) -> Any:
    """Raises unless `holds` everywhere, and names the first item where it does not.

    In eager code it raises a `ValueError`. In a `tf.function` it adds an assertion
    with the same message, which raises an `InvalidArgumentError` when the graph runs.
    JAX has no assertions in compiled code: there the check is skipped.

    Args:
        holds: Boolean tensor.
        message: The rule and its remedy, ending in a full stop.
        name: Name of the argument whose values are shown.
        values: Tensor whose leading dimensions are those of `holds`.
        items: What an entry of each dimension of `holds` is.

    Returns:
        The assertion, where it is part of a graph.
    """
    known = _as_numpy(holds)
    if known is not None:
        if not known.all():
            index = tuple(int(i) for i in np.argwhere(~known)[0])
            example = np.asarray(ops.convert_to_numpy(values))[index].tolist()
            where = "".join(f" of {item} {i}" for item, i in zip(items, index, strict=False))
            raise ValueError(f"{message} Received: {name}={example}{where}.")
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if holds.shape.rank == 0:
            holds, values = holds[tf.newaxis], values[tf.newaxis]
        indices = tf.where(tf.logical_not(holds))[:1]
        example = tf.gather_nd(values, indices)
        data = [f"{message} Received: {name}=", example, f"of {items[0]}", indices]
        return tf.debugging.Assert(tf.reduce_all(holds), data, summarize=8)
    return None


def check_sizes(sizes: Any, padded: Any, name: str = "sizes") -> Any:
    """`sizes` as int32 `(batch, 2)`, each at least 1 and at most the size of `padded`."""
    batch, height, width, _ = ops.shape(padded)
    sizes = check_pairs(sizes, batch, name)
    limits = ops.stack([height, width])
    inside = ops.logical_and(sizes >= 1, sizes <= limits)
    require(
        ops.all(inside, axis=1),
        f"`{name}` must be at least 1 and at most the height and width of the padded batch.",
        name,
        sizes,
    )
    # The assertion is to stop the graph, not an operation beside it that fails on bad sizes.
    return ops.clip(sizes, 1, limits)


def check_placements(placements: Any, maps: Any) -> Any:
    """Places of images on maps as int32, of one of both forms, inside the maps.

    Args:
        placements: `(images, 2)`, rows and columns, or `(images, 5)`, canvas, top, left, rows
            and columns.
        maps: The maps of the canvases.
    """
    if placements.shape[-1] == 2:
        return check_sizes(placements, maps, "sizes")
    dtype = keras.backend.standardize_dtype(placements.dtype)
    if len(placements.shape) != 2 or placements.shape[1] != 5 or "int" not in dtype:
        raise ValueError(
            "`placements` must be integers of the shape (images, 5): canvas, top, left, height and "
            f"width of each image. Received: placements of the shape {tuple(placements.shape)} and "
            f"dtype {dtype}."
        )
    placements = ops.cast(placements, "int32")
    canvases, height, width, _ = ops.shape(maps)
    ends = placements[:, 1:3] + placements[:, 3:]
    inside = ops.logical_and(ends <= ops.stack([height, width]), placements[:, 1:3] >= 0)
    inside = ops.all(ops.logical_and(inside, placements[:, 3:] >= 1), axis=1)
    on_canvas = ops.logical_and(placements[:, 0] >= 0, placements[:, 0] < canvases)
    check = require(
        ops.logical_and(inside, on_canvas),
        "`placements` must be canvas, top, left, height and width of each image, inside a canvas.",
        "placements",
        placements,
    )
    return after_checks([check], placements)


def check_pairs(sizes: Any, batch: Any, name: str) -> Any:
    """`sizes` as int32 `(batch, 2)`."""
    sizes = ops.convert_to_tensor(sizes)
    dtype = keras.backend.standardize_dtype(sizes.dtype)
    if "int" not in dtype:
        raise ValueError(
            f"`{name}` must be integers, a height and a width for each item of the batch. "
            f"Received: {name} of dtype {dtype}."
        )
    message = f"`{name}` must have shape (batch, 2), a height and a width for each item of the "
    if len(sizes.shape) != 2 or sizes.shape[1] != 2:
        raise ValueError(f"{message}batch. Received: {name} of shape {tuple(sizes.shape)}.")
    sizes = ops.cast(sizes, "int32")
    rows = ops.shape(sizes)[0]
    if isinstance(rows, int) and isinstance(batch, int):
        if rows != batch:
            raise ValueError(
                f"{message}batch of {batch}. Received: {name} of shape {tuple(sizes.shape)}."
            )
    else:
        counts = ops.stack([rows, batch])
        check = require(
            counts[0] == counts[1], f"{message}batch.", "rows and items", counts, ("the batch",)
        )
        return after_checks([check], sizes)
    return sizes


def check_map_size(features: Any, max_side: int | None = None) -> Any:
    """`features` with at least one row and one column, and at most `max_side` of each."""
    _, height, width, _ = ops.shape(features)
    message = "Feature maps must have at least one row and one column"
    message += f" and no side longer than {max_side}." if max_side else "."
    if isinstance(height, int) and isinstance(width, int):
        if min(height, width) < 1 or max(height, width) > (max_side or np.inf):
            raise ValueError(f"{message} Received: height and width={[height, width]}.")
        return features
    holds = ops.minimum(height, width) > 0
    if max_side is not None:
        holds = ops.logical_and(holds, ops.maximum(height, width) <= max_side)
    sides = ops.stack([height, width])
    check = require(holds, message, "height and width", sides, items=("the batch",))
    return after_checks([check], features)


def after_checks(checks: Sequence[Any], x: Any) -> Any:
    """`x`, in a graph computed after these assertions, so that they are what fails first."""
    checks = [check for check in checks if check is not None]
    if not checks:
        return x
    import tensorflow as tf

    with tf.control_dependencies(checks):
        return tf.identity(x)


def _as_numpy(holds: Any) -> np.ndarray | None:
    try:
        return np.asarray(ops.convert_to_numpy(holds))
    except (AttributeError, NotImplementedError, TypeError):
        return None  # Symbolic: what TensorFlow and JAX raise for that.
