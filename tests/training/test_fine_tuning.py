"""Fine-tuning in two phases: the top on vectors kept in memory, then the whole network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import spp_keras
from spp_keras import layers
from spp_keras.data import Pipeline, load_records
from spp_keras.training.top_training import pool_images
from spp_keras.zoo import spp_classifier

CLASSES, COUNT, BATCH = 3, 21, 4


def make_images(seed=0, count=COUNT):
    """Noise in which one color is bright, of every size: padded images, sizes and labels."""
    rng = np.random.default_rng(seed)
    labels, sizes = np.arange(count, dtype="int32") % CLASSES, rng.integers(20, 40, (count, 2))
    images = rng.integers(0, 120, (count, 40, 40, 3)).astype("float32")
    for image, label in zip(images, labels, strict=True):
        image[..., label] += 60
    return {"images": images, "sizes": sizes.astype("int32")}, labels


def make_network(units=(), normalization=True):
    keras.utils.set_random_seed(2)
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    x = keras.layers.Conv2D(6, 5, 4, name="conv")(x)
    if normalization:
        x = keras.layers.BatchNormalization(name="norm")(x)
    backbone = keras.Model(images, keras.layers.ReLU()(x), name="backbone")
    return spp_classifier(backbone, CLASSES, levels=(2, 1), units=units, dropout=0)


def make_dataset(seed=0, count=COUNT):
    return tf.data.Dataset.from_tensor_slices(make_images(seed, count)).batch(BATCH)


def get_weights(model, name):
    return [np.array(weight) for weight in model.get_layer(name).weights]


def assert_same(found, expected, tolerance=0.0):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("units", [(), pytest.param((8,), marks=pytest.mark.integration)])
def test_the_top_learns_what_it_does_within_the_frozen_network(units):
    epochs, seed = 3, 7
    images, labels = make_images()
    model, whole = make_network(units), make_network(units)
    assert_same(model.get_weights(), whole.get_weights())

    history = spp_keras.fine_tune(
        model, make_dataset(), top_epochs=epochs, epochs=0, seed=seed, verbose=0
    )

    whole.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(COUNT)
        for start in range(0, COUNT, BATCH):
            rows = order[start : start + BATCH]
            batch = {name: values[rows] for name, values in images.items()}
            whole.train_on_batch(batch, labels[rows])
    begun = make_network(units).get_layer("predictions").kernel
    assert np.abs(model.get_layer("predictions").kernel - begun).max() > 1e-3
    assert_same(model.get_weights(), whole.get_weights(), 1e-5)
    assert history.history["phase"] == ["top"] * epochs
    assert history.epoch == [0, 1, 2]


def test_then_all_learns_and_the_trunk_more_slowly():
    model = make_network()
    begun, norm = get_weights(model, "conv"), get_weights(model, "norm")
    history = spp_keras.fine_tune(
        model, make_dataset(), top_epochs=2, epochs=3, learning_rate=1e-2, verbose=0
    ).history
    assert history["phase"] == ["top", "top", "network", "network", "network"]
    assert len(history["loss"]) == len(history["accuracy"]) == 5
    moved = [np.abs(a - b).max() for a, b in zip(begun, get_weights(model, "conv"), strict=True)]
    # A step of Adam is about as long as the learning rate, and there are 18.
    assert 1e-3 < max(moved) < 18 * 1e-3 * 1.5
    assert_same(get_weights(model, "norm"), norm)


@pytest.mark.integration
def test_ragged_images_are_as_good():
    model = make_network()
    ragged = tf.ragged.stack([tf.zeros((20, 30, 3)), tf.ones((32, 24, 3))])
    data = tf.data.Dataset.from_tensor_slices((ragged, [0, 1])).batch(2)
    history = spp_keras.fine_tune(model, data, top_epochs=1, epochs=1, verbose=0)
    assert history.history["phase"] == ["top", "network"]


@pytest.mark.integration
def test_afterwards_plain_fit_goes_on():
    model = make_network()
    spp_keras.fine_tune(model, make_dataset(), top_epochs=1, epochs=1, verbose=0)
    steps = int(model.optimizer.iterations)
    trunk = get_weights(model, "conv")
    model.fit(make_dataset(), epochs=1, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 2 * steps
    assert any((a != b).any() for a, b in zip(trunk, get_weights(model, "conv"), strict=True))


def test_without_the_second_phase_the_trunk_stays_as_it_is():
    model = make_network()
    trunk = get_weights(model, "conv")
    spp_keras.fine_tune(model, make_dataset(), top_epochs=2, epochs=0, verbose=0)
    model.fit(make_dataset(), epochs=1, shuffle=False, verbose=0)
    assert_same(get_weights(model, "conv"), trunk)
    assert {x.path.split("/")[0] for x in model.trainable_variables} == {"predictions"}


class LossesOf(keras.callbacks.Callback):
    """Says how large a validation loss is, and keeps weights as they were."""

    def __init__(self, losses):
        super().__init__()
        self.losses, self.kept = iter(losses), []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = next(self.losses)
        self.kept.append(np.array(self.model.layers[-1].kernel))


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        # The top's second epoch; early stopping after two more; the network gets no better.
        ([3.0, 1.0, 2.0, 2.0, 1.5, 1.4], 6, 1),
        pytest.param([3.0, 1.0, 2.0, 2.0, 0.5, 0.9, 0.8], 7, 4, marks=pytest.mark.integration),
    ],
)
def test_the_best_weights_of_both_phases_are_kept(losses, epochs, best):
    model, told = make_network(), LossesOf(losses)
    history = spp_keras.fine_tune(
        model,
        make_dataset(),
        make_dataset(1, 6),
        top_epochs=9,
        epochs=epochs - 4,
        patience=2,
        callbacks=[told],
        verbose=0,
    ).history
    assert history["phase"] == ["top"] * 4 + ["network"] * (epochs - 4)
    np.testing.assert_array_equal(model.get_layer("predictions").kernel, told.kept[best])


@pytest.fixture(scope="module")
def pipelines(photographs):
    train = Pipeline(load_records(photographs, "train"), batch_size=4, flip=True, color_jitter=0.1)
    return train, Pipeline(load_records(photographs, "val"), batch_size=4, shuffle=False)


@pytest.mark.integration
def test_vectors_of_a_pipeline_are_those_of_its_images_as_they_are(pipelines):
    model = make_network()
    train = pipelines[0]
    pooled, _ = pool_images(model, train, quiet=True)
    plain = Pipeline(train.records, batch_size=1, shuffle=False)
    extractor = keras.Model(model.input, model.get_layer("spp").output)
    alone = [extractor(images["images"])[0] for images, _ in plain.dataset()]
    expected = dict(zip(plain.order(), alone, strict=True))
    order = Pipeline(train.records, batch_size=4).order()
    np.testing.assert_array_equal(pooled.labels, train.records.labels[order])
    for vector, image in zip(pooled.vectors, order, strict=True):
        np.testing.assert_allclose(vector, expected[image], rtol=1e-4, atol=1e-5)
    assert pooled.batch_size == 4


@pytest.mark.integration
def test_a_pipeline_trains_both_phases(pipelines):
    model = make_network()
    history = spp_keras.fine_tune(
        model, *pipelines, top_epochs=30, epochs=1, learning_rate=1e-2, verbose=0
    ).history
    assert history["accuracy"][-1] > 0.6
    assert min(history["val_loss"]) < history["val_loss"][0]


@pytest.mark.integration
def test_labels_may_be_of_other_kinds_and_images_weighted():
    images, labels = make_images()
    one_hot, weights = keras.utils.to_categorical(labels, CLASSES), np.ones(COUNT, "float32")
    model = make_network()
    data = tf.data.Dataset.from_tensor_slices((images, one_hot, weights)).batch(BATCH)
    options = {"loss": "categorical_crossentropy", "top_epochs": 1, "epochs": 1, "verbose": 0}
    history = spp_keras.fine_tune(model, data, data, **options).history
    assert len(history["val_accuracy"]) == 2


def test_a_network_of_keras_with_global_pooling_is_tuned_as_well():
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(CLASSES, "softmax")(x))
    rng = np.random.default_rng(0)
    data = tf.data.Dataset.from_tensor_slices(
        (rng.normal(size=(8, 16, 16, 3)).astype("float32"), np.arange(8) % CLASSES)
    ).batch(4)
    history = spp_keras.fine_tune(model, data, top_epochs=1, epochs=1, verbose=0)
    assert history.history["phase"] == ["top", "network"]


@pytest.mark.integration
def test_a_backbone_that_runs_image_by_image_is_tuned_as_well():
    images = keras.Input((None, None, 3))
    maps = keras.layers.Conv2DTranspose(2, 3, name="transposed")(images)
    backbone = keras.Model(images, maps, name="unknown")
    model = spp_classifier(backbone, CLASSES, levels=(1,))
    assert isinstance(model.get_layer("backbone"), layers.PerImage)
    begun = np.array(model.get_layer("backbone").weights[0])
    spp_keras.fine_tune(model, make_dataset(), top_epochs=1, epochs=1, verbose=0)
    assert (np.array(model.get_layer("backbone").weights[0]) != begun).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_epochs": -1}, "`top_epochs` must be an int >= 0"),
        ({"trunk_multiplier": -0.1}, "`trunk_multiplier` must be a number >= 0"),
        ({"train_data": make_dataset().repeat()}, "`train_data` must end after an epoch"),
        ({"train_data": make_dataset().map(lambda x, y: x)}, "must be batches of images and lab"),
        ({"train_data": make_dataset().take(0)}, "`train_data` must have a batch"),
    ],
)
def test_errors_say_what_to_do(change, message):
    with pytest.raises(ValueError, match=message):
        spp_keras.fine_tune(**{"model": make_network(), "train_data": make_dataset(), **change})
