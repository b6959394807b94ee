"""Augmentation of single images by Keras preprocessing layers, seeded for each image."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from spp_keras._private_apis import list_seed_generators

# They mix the images of a batch, and their labels.
_BATCH_LAYERS = (keras.layers.CutMix, keras.layers.MixUp)
_PROBE = (61, 47, 3)


def check_layers(layers: Sequence[keras.Layer]) -> tuple[keras.Layer, ...]:
    """Refuses layers that change the size of an image or need several images."""
    for layer in layers:
        if not isinstance(layer, keras.Layer):
            raise ValueError(
                "`augment` must be a list of Keras layers, such as "
                f"keras.layers.RandomRotation(0.1). Received: {layer!r} in it."
            )
        if isinstance(layer, _BATCH_LAYERS):
            raise ValueError(
                f"`augment` must have layers that change one image each; {type(layer).__name__} "
                "mixes those of a batch. Apply it to batches of one size, "
                f"`dataset().map(...)`. Received: the layer {layer.name!r}."
            )
        shape = tuple(layer.compute_output_shape(_PROBE))
        if shape != _PROBE:
            raise ValueError(
                "`augment` must have layers that keep the size of an image; `size_policy` decides "
                f"it. Received: the layer {layer.name!r}, a {type(layer).__name__}, which makes "
                f"{shape} of {_PROBE}."
            )
    return tuple(layers)


def augment_image(image: Any, layers: Sequence[keras.Layer], seed: Any) -> tf.Tensor:
    """Applies layers to an image, each by random numbers of its own.

    Args:
        image: uint8 `(height, width, 3)`.
        layers: The layers, one after the other.
        seed: int32 `(2,)`, on which alone the random numbers depend.

    Returns:
        uint8 of the same shape, rounded and clipped.

    Example:

    >>> image = tf.constant([[[1, 2, 3], [4, 5, 6]]], tf.uint8)
    >>> augment_image(image, [keras.layers.RandomInvert(1.0)], [0, 0]).numpy().tolist()
    [[[254, 253, 252], [251, 250, 249]]]
    """
    x = tf.cast(image, tf.float32)
    for number, layer in enumerate(layers):
        takes_training = "training" in getattr(layer, "call_signature_parameters", ())
        options = {"training": True} if takes_training else {}
        layer_seed = tf.random.experimental.stateless_fold_in(seed, number)
        with _use_seed(layer, layer_seed):
            x = tf.cast(layer(x, **options), tf.float32)
    x = tf.cast(tf.round(tf.clip_by_value(x, 0.0, 255.0)), tf.uint8)
    message = "`augment` must have layers that keep the size of an image."
    with tf.control_dependencies(
        [tf.debugging.assert_equal(tf.shape(x), tf.shape(image), message)]
    ):
        return tf.ensure_shape(tf.identity(x), image.shape)


@contextlib.contextmanager
def _use_seed(layer: keras.Layer, seed: Any) -> Iterator[None]:
    """Makes the seed generators of a layer return seeds that follow from one."""
    drawn = 0

    def draw(ordered: bool = True) -> Any:
        nonlocal drawn
        drawn += 1
        return tf.random.experimental.stateless_fold_in(seed, drawn)

    generators = list_seed_generators(layer)
    for generator in generators:
        generator.next = draw
    try:
        yield
    finally:
        for generator in generators:
            del generator.next
