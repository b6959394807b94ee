import functools

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras import layers

LEVELS = (3, 1)
eager_and_graph = pytest.mark.parametrize("run", ["eager", backends.GRAPH])


def drawn(sizes, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(*size, 3)).astype("float32") for size in sizes]


def sizes_of(images):
    return np.array([image.shape[:2] for image in images], "int32")


def new_backbone():
    """Strided layers with padding "same", which are what this layer is for."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", bias_initializer="ones")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return keras.Model(inputs, keras.layers.Conv2D(5, 3, padding="same")(x))


@functools.cache
def one_at_a_time(mode="max"):
    keras.utils.set_random_seed(2)
    return layers.PerImage(new_backbone(), layers.SpatialPyramidPooling(LEVELS, mode))


@functools.cache
def in_graph(layer):
    return tf.function(
        lambda x, sizes: layer(x, sizes=sizes),
        input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, 2), tf.int32)],
    )


def expected_of(layer, image):
    features = layer.backbone(image[None], training=False)
    return oracles.pyramid(np.asarray(features[0]), LEVELS, layer.pooling.mode)


@pytest.mark.tensorflow
@eager_and_graph
@pytest.mark.parametrize("mode", ["max", "average"])
@settings(max_examples=backends.examples(12))
@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_image_of_a_padded_batch_gives_what_it_gives_alone(mode, run, sizes, seed):
    images, layer = drawn(sizes, seed), one_at_a_time(mode)
    x = oracles.padded(images, np.nan)
    if run == "eager":
        answer = layer(x, sizes=sizes_of(images))
    else:
        answer = in_graph(layer)(x, sizes_of(images))
    expected = [expected_of(layer, image) for image in images]
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_size_goes_through_as_it_is():
    images, layer = drawn([(17, 23)] * 3), one_at_a_time()
    expected = layer.pooling(layer.backbone(np.stack(images), training=False))
    np.testing.assert_array_equal(layer(np.stack(images)), expected)


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["one size", "sizes"])
def test_training_too_uses_the_statistics_the_backbone_has(form):
    images, layer = drawn([(17, 23), (17, 23)]), one_at_a_time()
    sizes = sizes_of(images) if form == "sizes" else None
    before = [w.numpy() for w in layer.backbone.non_trainable_weights]
    answer = layer(np.stack(images), sizes=sizes, training=True)
    np.testing.assert_allclose(answer, layer(np.stack(images), sizes=sizes), rtol=1e-5, atol=1e-6)
    assert len(before) >= 2
    for weight, same in zip(layer.backbone.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, same)


def weight_gradients(layer, x, upstream, sizes=None):
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x, sizes=sizes) * upstream)
    return tape.gradient(total, layer.trainable_variables)


@pytest.mark.tensorflow
def test_weights_get_the_sum_of_the_gradients_of_single_images():
    images, layer = drawn([(17, 23), (30, 8), (4, 5)]), one_at_a_time()
    x, sizes = oracles.padded(images, np.nan), sizes_of(images)
    upstream = np.random.default_rng(3).normal(size=(3, 10 * 5)).astype("float32")
    layer(x, sizes=sizes)
    together = weight_gradients(layer, x, upstream, sizes)
    alone = [
        weight_gradients(layer, image[None], of_vector)
        for image, of_vector in zip(images, upstream, strict=True)
    ]
    assert len(together) == 6
    for gradient, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(gradient, sum(parts), rtol=1e-4, atol=1e-4)


def test_a_frozen_backbone_gets_no_gradients():
    backbone = new_backbone()
    backbone.trainable = False
    layer = layers.PerImage(backbone, layers.SpatialPyramidPooling(LEVELS))
    layer(np.zeros((1, 9, 9, 3), "float32"))
    assert layer.trainable_variables == []
    assert len(layer.non_trainable_variables) == 8


@pytest.mark.tensorflow
def test_a_functional_model_takes_ragged_images_and_survives_being_saved(tmp_path):
    inputs = keras.Input((None, None, 3), ragged=True)
    images, sizes = layers.PadRagged()(inputs)
    layer = layers.PerImage(new_backbone(), layers.SpatialPyramidPooling(LEVELS))
    vectors = layer(images, sizes=sizes)
    assert vectors.shape == (None, 10 * 5)
    model = keras.Model(inputs, vectors)
    images = drawn([(17, 23), (30, 8)])
    answer = model.predict(tf.ragged.stack(images), verbose=0)
    expected = [expected_of(layer, image) for image in images]
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(tf.ragged.stack(images), verbose=0), answer)


def test_images_of_another_number_of_channels_are_refused():
    layer = layers.PerImage(new_backbone(), layers.SpatialPyramidPooling(LEVELS))
    with pytest.raises(ValueError, match=r"expected shape=\(None, None, None, 3\), found"):
        layer(np.zeros((1, 9, 9, 4), "float32"))
