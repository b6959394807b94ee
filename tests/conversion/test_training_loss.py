"""The loss that `fit` and `evaluate` report is the mean over images, however canvases hold them."""

import any_size_cases
import keras
import numpy as np
import pytest

from spp_keras import any_size
from spp_keras.models import graph_run

# Images of each batch; all but the last one of a batch share a canvas.
BATCHES = (
    [(30, 41), (17, 22), (41, 19), (23, 23), (19, 37)],
    [(28, 20), (33, 31)],
    [(40, 18), (21, 21), (25, 30)],
)
SIZES = [size for batch in BATCHES for size in batch]
LABELS = np.arange(len(SIZES)) % 3


def network():
    """A network without layers that do other things in training."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return any_size_cases.randomize(keras.Model(inputs, keras.layers.Dense(3)(x)))


def make_batches(model, form="dictionary"):
    """Batches of several images on a canvas, with labels and weights, and those by image."""
    rules = graph_run.find_entrance(model).canvas_rules
    images = any_size_cases.make_images(SIZES)
    weights = np.random.default_rng(4).uniform(0.2, 3, len(images)).astype("float32")
    batches, start = [], 0
    for batch in BATCHES:
        numbers = np.arange(start, start + len(batch))
        start += len(batch)
        inputs, order = any_size_cases.pack([images[i] for i in numbers], rules)
        numbers = numbers[order]
        if form == "tuple":
            inputs = (inputs["images"], inputs["placements"])
        batches.append((inputs, LABELS[numbers], weights[numbers]))
    return batches, images, weights


def losses_alone(model, images):
    """The loss of each image, by NumPy."""
    logits = np.concatenate([np.asarray(model(image[np.newaxis])) for image in images])
    logits = logits.astype("float64")
    correct = logits[np.arange(len(logits)), LABELS]
    return np.log(np.exp(logits).sum(axis=1)) - correct


def compile_model(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    return model


def reported(model, batches):
    """The losses that `fit`, its validation and `evaluate` report."""
    model.reset_metrics()
    history = model.fit(Batches(batches), validation_data=Batches(batches), verbose=0).history
    return [
        history["loss"][0],
        history["val_loss"][0],
        model.evaluate(Batches(batches), verbose=0)[0],
    ]


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize(
    "form", ["dictionary", pytest.param("tuple", marks=pytest.mark.integration)]
)
def test_the_reported_loss_is_the_mean_over_images(form):
    original = network()
    model = compile_model(any_size(original))
    batches, images, _ = make_batches(model, form)
    alone = losses_alone(original, images)
    # Twice as many images a canvas in one batch as in another: the mean over canvases is no mean
    # over images.
    means = [alone[:5].mean(), alone[5:7].mean(), alone[7:].mean()]
    assert abs(np.mean(means) - alone.mean()) > 0.01
    without_weights = [batch[:2] for batch in batches]
    np.testing.assert_allclose(reported(model, without_weights), alone.mean(), rtol=1e-5)


@pytest.mark.integration
def test_weights_of_images_count_in_the_reported_loss():
    original = network()
    model = compile_model(any_size(original))
    batches, images, weights = make_batches(model)
    expected = (losses_alone(original, images) * weights).mean()
    np.testing.assert_allclose(reported(model, batches), expected, rtol=1e-5)


@pytest.mark.integration
@pytest.mark.tensorflow
def test_placements_of_unknown_length_are_known_by_their_name():
    import tensorflow as tf

    original = network()
    model = compile_model(any_size(original))
    batches, images, _ = make_batches(model)
    inputs = {
        "images": tf.TensorSpec((None, None, None, 3)),
        "placements": tf.TensorSpec((None, None), tf.int32),
    }
    data = tf.data.Dataset.from_generator(
        lambda: iter([batch[:2] for batch in batches]),
        output_signature=(inputs, tf.TensorSpec((None,), tf.int32)),
    )
    data = data.apply(tf.data.experimental.assert_cardinality(len(batches)))
    loss, _ = model.evaluate(data, verbose=0)
    np.testing.assert_allclose(loss, losses_alone(original, images).mean(), rtol=1e-5)
