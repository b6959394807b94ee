"""The cases of whole networks: what mixed sizes cost."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pooling_inputs as inputs
import tensorflow as tf
from pooling_graphs import graph
from worker import Prepared, case

from spp_keras.zoo import zf5_spp

_SIZES = inputs.image_sizes()
_SHARE = _SIZES.prod(axis=1).sum() / (len(_SIZES) * _SIZES.max(axis=0).prod())


@case("network", "one ragged batch", f"eight sizes: {_SHARE:.0%} of the padded batch is images")
def _network(setting: str) -> Prepared:
    ragged = tf.ragged.stack(inputs.images())
    step = _step(setting, tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2))
    return Prepared(lambda: step(ragged), _answer_of(setting), _pixels(_SIZES))


@case("network", "two ragged batches", "the same images, upright and lying apart")
def _network_sorted(setting: str) -> Prepared:
    images = inputs.images()
    batches = [tf.ragged.stack(images[first::2]) for first in (0, 1)]
    step = _step(setting, tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2))
    order = np.argsort([*range(0, 8, 2), *range(1, 8, 2)])

    def call() -> tf.Tensor:
        return tf.gather(tf.concat([step(batch) for batch in batches], axis=0), order)

    return Prepared(call, _answer_of(setting), _pixels(_SIZES))


@case("network", "one by one", "the same images; in training an update each")
def _network_one_by_one(setting: str) -> Prepared:
    images = [tf.constant(image[np.newaxis]) for image in inputs.images()]
    step = _step(setting, tf.TensorSpec((None, None, None, 3)))
    return Prepared(
        lambda: tf.concat([step(image) for image in images], axis=0),
        _answer_of(setting),
        _pixels(_SIZES),
    )


@case("network", "one batch of one size", "eight squares, as many pixels")
def _network_equal(setting: str) -> Prepared:
    batch = tf.constant(np.stack(inputs.images(equal=True)))
    step = _step(setting, tf.TensorSpec((None, None, None, 3)))
    return Prepared(lambda: step(batch), pixels=_pixels(inputs.image_sizes(equal=True)))


@functools.cache
def _model() -> tuple[keras.Model, keras.optimizers.Optimizer]:
    keras.utils.set_random_seed(0)
    model = zf5_spp(classes=1000, classifier_activation=None)
    # So small a rate that weights stay as they are however many steps are measured.
    optimizer = keras.optimizers.SGD(1e-12)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def _step(setting: str, signature: Any) -> Callable[..., Any]:
    """Scores of images, in "training" with an update of the weights."""
    model, optimizer = _model()

    def step(images: Any) -> tf.Tensor:
        if setting == "forward":
            return model(images)
        with tf.GradientTape() as tape:
            scores = model(images, training=True)
            labels = tf.zeros((tf.shape(scores)[0],), tf.int32)
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
            )
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return scores

    return graph(step, [signature])


def _answer_of(setting: str) -> Callable[[tf.Tensor], np.ndarray] | None:
    # In training dropout makes each answer another.
    return (lambda scores: scores.numpy()) if setting == "forward" else None


def _pixels(sizes: np.ndarray) -> int:
    return int(sizes.prod(axis=1).sum())
