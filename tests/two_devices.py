"""`python tests/two_devices.py photographs` trains a network on one device and on two halves."""

import os
import sys

import keras
import numpy as np
import tensorflow as tf

import spp_keras
from spp_keras import layers, training
from spp_keras.data import Pipeline, load_records


def pipelines(photographs):
    """To learn from and to judge by, each with batches of one image."""
    options = {"batch_size": 3, "max_pixels": 12_000}
    train = Pipeline(load_records(photographs, "train"), flip=True, seed=5, **options)
    return train, Pipeline(load_records(photographs, "val"), shuffle=False, **options)


def network(**options):
    """One convolution, a pyramid and a layer on top, which is quickly traced."""
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 5, 4, activation="relu")(x)
    x = layers.SpatialPyramidPooling((2, 1))(x)
    model = spp_keras.any_size(keras.Model(images, keras.layers.Dense(3, "softmax")(x)))
    optimizer = keras.optimizers.SGD(0.003, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def _fitted(scope, train, held_back):
    with scope:
        model = network()
    history = model.fit(train, validation_data=held_back, epochs=2, verbose=0).history
    assert model.optimizer.iterations == 2 * train.steps_per_epoch
    return (
        model.get_weights(),
        [history["val_loss"], history["val_accuracy"]],
        model.predict(held_back.dataset(), verbose=0),
    )


def _compare(photographs):
    strategy = training.choose_strategy(devices=2)
    train, held_back = pipelines(photographs)
    for pipeline in (train, held_back):
        lengths = {len(labels) for _, labels in pipeline.dataset()}
        assert lengths >= {1, 2, 3}, lengths
    one = _fitted(tf.distribute.get_strategy().scope(), train, held_back)
    two = _fitted(strategy.scope(), train, held_back)
    assert np.ptp(one[-1], axis=0).max() > 0.05
    for mine, other in zip(one, two, strict=True):
        tf.nest.map_structure(
            lambda value, same: np.testing.assert_allclose(value, same, rtol=1e-4, atol=1e-5),
            mine,
            other,
        )


if __name__ == "__main__":
    _compare(sys.argv[1])
    print("the same", flush=True)
    # The threads of a strategy may hang when the interpreter ends.
    os._exit(0)
