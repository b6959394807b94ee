"""Pooled vectors of decoded image files: small images packed on canvases, large ones alone."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from spp_keras.data import batch_decoding, image_rules
from spp_keras.export.tf_serving import image_groups
from spp_keras.models import graph_run
from spp_keras.packing import draw_canvases, plan_canvases
from spp_keras.zoo.model_parts import ModelParts


def make_file_pooler(
    model: keras.Model, parts: ModelParts, max_pixels: int
) -> Callable[[batch_decoding.DecodedBatch], Any]:
    """Makes the function from decoded files to the pooled vector of each.

    Args:
        model: The classifier.
        parts: Its parts.
        max_pixels: Pixels of images that are packed together; a larger image is alone. A
            network without rules for canvases gets every image alone.

    Returns:
        The function. Its result is float32 `(files, channels)`, with zeros for a file that
        cannot be used.
    """
    channels = parts.pooling.output.shape[-1]
    # Traced once for all signatures: tracing takes most of an export.
    pool_alone = tf.function(
        lambda image: tf.cast(parts.pool(image[tf.newaxis]), tf.float32),
        [tf.TensorSpec((None, None, 3), tf.uint8)],
        autograph=False,
    )
    pool_packed = _make_packed_pooler(model, parts)

    def pool(batch: batch_decoding.DecodedBatch) -> Any:
        good = tf.where(tf.equal(batch.codes, image_rules.OK))
        images, sizes = tf.gather_nd(batch.images, good), tf.gather_nd(batch.sizes, good)

        def pool_group(members: Any) -> Any:
            if pool_packed is None:
                return pool_alone(_parse_image(images[members[0]]))
            return tf.cond(
                tf.equal(tf.size(members), 1),
                lambda: pool_alone(_parse_image(images[members[0]])),
                lambda: pool_packed(
                    _join_pixels(tf.gather(images, members)), tf.gather(sizes, members)
                ),
            )

        pooled = image_groups.map_in_groups(
            pool_group,
            tf.reduce_prod(sizes, axis=1),
            max_pixels if pool_packed is not None else 0,
            channels,
        )
        return tf.scatter_nd(good, pooled, [tf.size(batch.codes, tf.int64), channels])

    return pool


def _make_packed_pooler(model: keras.Model, parts: ModelParts) -> Callable[[Any, Any], Any] | None:
    """A function from the pixels of images and their sizes to vectors, if they can be packed."""
    rules = graph_run.find_canvas_rules(model)
    if rules is None:
        return None
    pooler = keras.Model(model.input, parts.pooling.output)
    dtype = model.inputs[0].dtype

    def pool(pixels: Any, sizes: Any) -> Any:
        layout = plan_canvases(sizes, rules)
        canvases = tf.cast(draw_canvases(pixels, layout), dtype)
        pooled = graph_run.apply_model(pooler, canvases, placements=layout.placements)
        return tf.cast(pooled, tf.float32)

    inputs = [tf.TensorSpec((None, 3), tf.uint8), tf.TensorSpec((None, 2), tf.int32)]
    packed: Callable[[Any, Any], Any] = tf.function(pool, inputs, autograph=False)
    return packed


def _parse_image(image: Any) -> Any:
    return tf.ensure_shape(tf.io.parse_tensor(image, tf.uint8), (None, None, 3))


def _join_pixels(images: Any) -> Any:
    """The pixels of images, one after the other: uint8 `(pixels, 3)`."""
    return image_groups.concatenate_results(
        lambda index: tf.reshape(_parse_image(images[index]), (-1, 3)),
        tf.size(images),
        tf.TensorSpec((None, 3), tf.uint8),
    )
