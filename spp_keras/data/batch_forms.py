"""Forms of a batch: dense, padded, ragged, or on canvases."""

from typing import Any

import tensorflow as tf

from spp_keras.canvas_rules import CanvasRules
from spp_keras.data import batch_layouts
from spp_keras.data.batch_shards import Shards
from spp_keras.packing import draw_canvases

FORMS = ("dense", "padded", "ragged", "canvases")


def batch_images(images: tf.data.Dataset, count: tf.Tensor, form: str) -> tf.data.Dataset:
    """A dataset of one batch of so many images."""
    if form == "dense":
        return images.batch(count)
    if form == "padded":
        return images.padded_batch(count)
    return images.ragged_batch(count)


def format_batch(
    images: Any,
    rows: dict[str, tf.Tensor],
    form: str,
    rules: CanvasRules | None,
    shards: Shards,
    weighs_images: bool = False,
) -> tuple[Any, ...]:
    """A batch as Keras takes it: `(x, labels)` or `(x, labels, weights)`."""
    x = _form_inputs(images, rows["size"], form, rules)
    labels, weights = rows["label"], rows["weight"]
    if shards.may_be_empty:
        x, labels, weights = _drop_filler((x, labels, weights), weights)
    return (x, labels, weights) if shards.has_weights or weighs_images else (x, labels)


def _form_inputs(images: Any, sizes: Any, form: str, rules: CanvasRules | None) -> Any:
    """The inputs of a network for a batch.

    Args:
        images: What `batch_images` makes.
        sizes: int32 `(images, 2)`, height and width of each.
        form: One of `FORMS`.
        rules: Rules for canvases.
    """
    if form == "padded":
        return {"images": images, "sizes": sizes}
    if form == "canvases":
        layout = batch_layouts.lay_images(sizes, rules)
        pixels = tf.reshape(images.flat_values, (-1, 3))
        return {"images": draw_canvases(pixels, layout), "placements": layout.placements}
    return images


def _drop_filler(columns: tuple[Any, ...], weights: Any) -> Any:
    """Columns of a batch without the one image of weight 0 of an empty shard."""
    count = tf.math.count_nonzero(weights, dtype=tf.int32)
    # Of canvases all or none, however many images are on them.
    is_any = tf.cast(count > 0, tf.int32)

    def keep(values: Any) -> Any:
        return values[: is_any * _count_rows(values)]

    return tf.nest.map_structure(keep, columns)


def _count_rows(values: Any) -> tf.Tensor:
    if isinstance(values, tf.RaggedTensor):
        return tf.cast(values.nrows(), tf.int32)
    return tf.shape(values)[0]
