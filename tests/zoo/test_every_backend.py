"""Networks on the backend that Keras has, see `tests/test_jax.py`."""

import backends
import keras
import numpy as np
import pytest

from spp_keras import zoo

both_trunks = pytest.mark.parametrize("name", ["zf5_spp", "overfeat5_spp"])


def images_and_batch(fill=np.nan):
    """Two images, and the same as a padded batch with sizes."""
    random = np.random.default_rng(3)
    sizes = [(40, 57), (61, 33)]
    images = [random.uniform(0, 255, (*size, 3)).astype("float32") for size in sizes]
    batch = np.full((2, 61, 57, 3), fill, "float32")
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    return images, {"images": batch, "sizes": np.array(sizes, "int32")}


def network(name):
    model = getattr(zoo, name)(classes=3, width=0.04, classifier_activation=None, dropout=0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            bias = np.random.default_rng(4).uniform(-0.3, 0.3, layer.bias.shape)
            layer.bias.assign(bias)
    return model


def assert_close(answer, expected):
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(backends.as_numpy(answer), expected, rtol=0, atol=atol)


@both_trunks
def test_a_padded_image_gives_its_answer_alone(name):
    model = network(name)
    images, batch = images_and_batch()
    alone = backends.quick(model)
    expected = np.concatenate([backends.as_numpy(alone(image[None])) for image in images])
    assert_close(zoo.with_sizes(model).predict(batch, verbose=0), expected)
    assert_close(model.predict(batch, verbose=0), expected)
    assert_close(zoo.with_sizes(model).predict(images[0][None], verbose=0), expected[:1])


@both_trunks
def test_gradients_of_a_mixed_batch_are_the_sum_of_those_alone(name):
    model = network(name)
    sized = zoo.with_sizes(model)
    images, batch = images_and_batch(fill=1000)
    upstream = np.random.default_rng(5).normal(size=(2, 3)).astype("float32")
    together = weight_gradients(sized, batch, upstream)
    singles = [
        weight_gradients(model, image[None], upstream[i : i + 1]) for i, image in enumerate(images)
    ]
    for gradient, *parts in zip(together, *singles, strict=True):
        assert_close(gradient, sum(parts))


def weight_gradients(model, inputs, upstream):
    """Gradient of `sum(upstream * model(inputs))` by every trainable weight."""
    if backends.BACKEND == "jax":
        import jax

        fixed = [variable.value for variable in model.non_trainable_variables]

        def loss(weights):
            outputs, _ = model.stateless_call(weights, fixed, inputs, training=True)
            return (outputs * upstream).sum()

        weights = [variable.value for variable in model.trainable_variables]
        return [np.asarray(gradient) for gradient in jax.jit(jax.grad(loss))(weights)]
    import tensorflow as tf

    weights = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs, training=True) * upstream)
    return [gradient.numpy() for gradient in tape.gradient(loss, weights)]


def test_fit_trains_a_network_on_padded_images():
    model = network("zf5_spp")
    _, batch = images_and_batch()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()
    model.fit(batch, np.array([0, 2]), verbose=0)
    assert all((now != then).any() for now, then in zip(model.get_weights(), before, strict=True))
    assert all(np.isfinite(now).all() for now in model.get_weights())


def test_images_scaled_to_one_are_warned_of():
    model, (images, _) = network("zf5_spp"), images_and_batch()
    with pytest.warns(UserWarning, match=r"expects images with values 0\.\.255"):
        model(images[0][None] / 255)


@pytest.mark.skipif(backends.BACKEND == "tensorflow", reason="TensorFlow takes mixed sizes")
def test_a_backbone_with_strided_same_padding_mixes_sizes():
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    model = zoo.spp_classifier(keras.Model(inputs, outputs), 3, levels=(2, 1), units=())
    images, batch = images_and_batch()
    expected = np.concatenate([np.asarray(model(image[None])) for image in images])
    assert_close(zoo.with_sizes(model)(batch), expected)
