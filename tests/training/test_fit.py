"""`fit`, `evaluate` and `predict` of a network on a pipeline, as a Keras user types them."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import two_devices
from PIL import Image

from spp_keras import zoo
from spp_keras.data import Crop, Pipeline, Whole, load_records
from spp_keras.training import distribution


@pytest.fixture
def pipelines(photographs):
    return two_devices.pipelines(photographs)


class Recorder(zoo.ImageModel):
    """A network that notes what it is given, and learns nothing."""

    def train_step(self, data):
        self.seen.append(tf.nest.map_structure(lambda value: value.numpy(), data))
        return {"loss": 0.0}


@pytest.fixture
def recorder():
    model = two_devices.network()
    model = Recorder(model.input, model.output)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    model.seen = []
    return model


def assert_same(found, expected):
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


@pytest.mark.integration
@pytest.mark.parametrize("policy", [Whole(), Crop(image_sizes=(20, 16), short_side=24)], ids=type)
@pytest.mark.parametrize("given", ["pipeline", "dataset"])
def test_fit_sees_the_batches_of_the_trainer_epoch_by_epoch(photographs, recorder, policy, given):
    train = Pipeline(load_records(photographs, "train"), policy, batch_size=5, flip=True, seed=5)
    steps = train.steps_per_epoch
    # What the trainer learns from; its weights are for the sizes of its batches.
    trainers = distribution.distribute_batches(train, None).take(3 * steps).as_numpy_iterator()
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
    model, counted = two_devices.network(), Steps()
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


@pytest.mark.integration
def test_two_devices_learn_and_answer_as_one_does(photographs):
    script = [two_devices.__file__, str(photographs)]
    command = [sys.executable, "-W", "error::UserWarning", *script]
    done = subprocess.run(command, timeout=600, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["the same"], done.stderr[-3000:]


@pytest.fixture
def wild(tmp_path):
    """Images that are wide, and others that are tall, which padding does not suit."""
    rng = np.random.default_rng(0)
    for index in range(12):
        size = (140, 16 + index)[:: 1 if index % 2 else -1]
        path = tmp_path / "train" / ("blue", "green", "red")[index % 3] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3)).astype("uint8")).save(path)
    return load_records(tmp_path, "train")


def test_a_network_gets_canvases_where_padding_does_not_suit(wild, recorder):
    train, model = Pipeline(wild, batch_size=6), two_devices.network()
    recorder.fit(train, verbose=0)
    assert all(sorted(x) == ["images", "placements"] for x, _ in recorder.seen)
    assert all(len(x["images"]) < len(labels) for x, labels in recorder.seen)
    assert [len(labels) for _, labels in recorder.seen] == [6, 6]
    # Scores and losses are those of padded batches.
    padded = train.dataset(repeat=True).take(train.steps_per_epoch)
    expected = np.concatenate([model(x).numpy() for x, _ in padded])
    np.testing.assert_allclose(model.predict(train, verbose=0), expected, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 0.01
    labels = wild.labels[train.order()]
    loss, _ = model.evaluate(train, verbose=0)
    assert loss == pytest.approx(logarithmic_loss(expected, labels), rel=1e-5)


def test_a_model_that_takes_no_pipeline_is_told_what_to_take(pipelines):
    inputs = keras.Input((None, None, 3))
    plain = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"<Pipeline of 27 images .* `dataset\(\)` is a tf\.data"):
        plain.fit(pipelines[0])
