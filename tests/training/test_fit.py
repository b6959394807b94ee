"""`fit`, `evaluate` and `predict` of a network on a pipeline, as a Keras user types them."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras import zoo
from spp_keras.data import Crops, Pipeline, Whole, load
from spp_keras.training import distribution

LOSS = "sparse_categorical_crossentropy"


@pytest.fixture
def pipelines(photographs):
    """To learn from and to judge by; some batches are of one image."""
    options = {"batch_size": 3, "batch_pixels": 12_000}
    train = Pipeline(load(photographs, "train"), flip=True, seed=5, **options)
    held_back = load(photographs, "val")
    held_back = held_back.select(held_back.sizes.min(axis=1) >= 29)
    return train, Pipeline(held_back, shuffle=False, **options)


def network(**options):
    keras.utils.set_random_seed(1)
    model = zoo.zf5_spp(classes=3, width=0.02, levels=(1,), dropout=0)
    model.compile(keras.optimizers.SGD(0.01), LOSS, metrics=["accuracy"], **options)
    return model


class Recorder(zoo.ImageModel):
    """A network that notes what it is given, and learns nothing."""

    def train_step(self, data):
        self.seen.append(tf.nest.map_structure(lambda value: value.numpy(), data))
        return {"loss": 0.0}


@pytest.fixture
def recorder():
    model = network()
    model = Recorder(model.input, model.output)
    model.compile("sgd", LOSS, run_eagerly=True)
    model.seen = []
    return model


def assert_same(found, expected):
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


@pytest.mark.parametrize("policy", [Whole(), Crops(sides=(40, 32), short_side=48)], ids=type)
@pytest.mark.parametrize("given", ["pipeline", "dataset"])
def test_fit_sees_the_batches_of_the_trainer_epoch_by_epoch(photographs, recorder, policy, given):
    train = Pipeline(load(photographs, "train"), policy, batch_size=5, flip=True, seed=5)
    steps = train.steps_per_epoch
    # What the trainer learns from; its weights are for the sizes of its batches.
    trainers = distribution.batches(train, None).take(3 * steps).as_numpy_iterator()
    expected = [(x, y) for x, y, _ in trainers]
    x = train if given == "pipeline" else train.dataset()
    recorder.fit(x, epochs=2, verbose=0)
    assert_same(recorder.seen, expected[: 2 * steps])
    # Each training begins with its first epoch, whichever was seen before.
    recorder.seen = []
    recorder.fit(x, epochs=3, initial_epoch=2, verbose=0)
    assert_same(recorder.seen, expected[2 * steps :])


def test_a_plain_keras_model_goes_from_epoch_to_epoch_of_a_dataset(pipelines, recorder):
    train, _ = pipelines
    expected = list(train.dataset(repeat=True).take(2 * train.steps_per_epoch).as_numpy_iterator())
    dataset = train.dataset()
    for _ in range(2):
        # As `keras.Model` does it.
        keras.Model.fit(recorder, dataset, shuffle=False, verbose=0)
    assert_same(recorder.seen, expected)


class Steps(keras.callbacks.Callback):
    """Notes how many steps Keras says an epoch has, and how many it took."""

    def on_epoch_begin(self, epoch, logs=None):
        self.said, self.taken = [*getattr(self, "said", []), self.params["steps"]], 0

    def on_train_batch_end(self, batch, logs=None):
        self.taken += 1


def logarithmic_loss(scores, labels):
    return -np.log(scores[np.arange(len(labels)), labels]).mean()


def test_fit_ends_its_epochs_and_every_image_counts_once(pipelines, tmp_path):
    train, held_back = pipelines
    model, counted = network(), Steps()
    best = tmp_path / "best.keras"
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=3)
    history = model.fit(
        train,
        validation_data=held_back,
        epochs=2,
        callbacks=[counted, stopping, keras.callbacks.ModelCheckpoint(best, "val_loss")],
        verbose=0,
    ).history
    steps = train.steps_per_epoch
    assert counted.said == [steps, steps]
    assert counted.taken == steps
    assert model.optimizer.iterations == 2 * steps
    assert best.exists()
    assert len(history["val_loss"]) == 2

    # By each image alone.
    batches = held_back.dataset().as_numpy_iterator()
    alone = [
        (np.asarray(model(image[np.newaxis, :height, :width].astype("float32")))[0], label)
        for x, labels in batches
        for image, (height, width), label in zip(x["images"], x["sizes"], labels, strict=True)
    ]
    scores, labels = (np.array(column) for column in zip(*alone, strict=True))
    assert len(scores) == len(held_back.records)
    np.testing.assert_array_equal(labels, held_back.records.labels[held_back.order()])
    np.testing.assert_allclose(model.predict(held_back, verbose=0), scores, atol=1e-6)
    loss, accuracy = model.evaluate(held_back, verbose=0)
    assert loss == pytest.approx(logarithmic_loss(scores, labels), rel=1e-5)
    assert loss == pytest.approx(history["val_loss"][-1], rel=1e-5)
    assert accuracy == pytest.approx((scores.argmax(axis=1) == labels).mean())


TWO_DEVICES = """
import os, sys
import keras, numpy as np, tensorflow as tf
from spp_keras import training
from spp_keras.data import Pipeline, load

strategy = training.choose_strategy(devices=2)
from spp_keras import zoo

options = {"batch_size": 3, "batch_pixels": 12_000}
train = Pipeline(load(sys.argv[1], "train"), flip=True, seed=5, **options)
held_back = load(sys.argv[1], "val")
held_back = held_back.select(held_back.sizes.min(axis=1) >= 29)
held_back = Pipeline(held_back, shuffle=False, **options)
lengths = {len(labels) for _, labels in train.dataset()} | {len(y) for _, y in held_back.dataset()}
assert lengths >= {1, 2, 3}, lengths

def fitted(scope):
    keras.utils.set_random_seed(1)
    with scope:
        model = zoo.zf5_spp(classes=3, width=0.02, levels=(1,), dropout=0)
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = model.fit(train, validation_data=held_back, epochs=2, verbose=0).history
    assert model.optimizer.iterations == 2 * train.steps_per_epoch, model.optimizer.iterations
    values = model.evaluate(held_back, verbose=0)
    return model.get_weights(), history, values, model.predict(held_back.dataset(), verbose=0)

one = fitted(tf.distribute.get_strategy().scope())
two = fitted(strategy.scope())
for mine, other in zip(one[0], two[0]):
    np.testing.assert_allclose(mine, other, atol=1e-5)
for name in ("val_loss", "val_accuracy"):
    np.testing.assert_allclose(one[1][name], two[1][name], rtol=1e-4)
np.testing.assert_allclose(one[2], two[2], rtol=1e-4)
np.testing.assert_allclose(one[3], two[3], atol=1e-5)
print("the same")
sys.stdout.flush()
# A strategy's threads may hang when the interpreter ends.
os._exit(0)
"""


def test_two_devices_learn_and_answer_as_one_does(photographs):
    command = [sys.executable, "-W", "error::UserWarning", "-c", TWO_DEVICES, str(photographs)]
    done = subprocess.run(command, timeout=600, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["the same"], done.stderr[-3000:]


def test_a_model_that_takes_no_pipeline_is_told_what_to_take(pipelines):
    inputs = keras.Input((None, None, 3))
    plain = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"<Pipeline of 27 images .* `dataset\(\)` is a tf\.data"):
        plain.fit(pipelines[0])
