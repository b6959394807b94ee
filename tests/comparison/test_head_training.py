import keras
import numpy as np
import pytest

from spp_keras.comparison import head_training
from spp_keras.comparison.head_training import HeadSettings, draw_batches, train_heads

IMAGES, VIEWS, LENGTH, CLASSES = 20, 3, 12, 4
SETTINGS = [HeadSettings(0.01, 0.0), HeadSettings(0.03, 2.0), HeadSettings(0.001, 0.5)]
OPTIONS = {"steps": 25, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(IMAGES, VIEWS, LENGTH)).astype("float32")
    return vectors, rng.integers(0, CLASSES, IMAGES)


@pytest.fixture
def rows(monkeypatch):
    """The batches that were drawn."""
    drawn = []
    monkeypatch.setattr(
        head_training, "draw_batches", lambda *args: drawn.append(draw_batches(*args)) or drawn[-1]
    )
    return drawn


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_a_head_is_a_dense_layer_that_keras_trains(setting, data, rows):
    vectors, labels = data
    start = train_heads(vectors, labels, CLASSES, [HeadSettings(0.0, 0.0)], **OPTIONS)
    heads = train_heads(vectors, labels, CLASSES, [setting], **OPTIONS)
    layer = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((LENGTH,)), layer])
    layer.set_weights([start.kernels[:, 0], start.biases[0]])
    schedule = keras.optimizers.schedules.CosineDecay(setting.learning_rate, OPTIONS["steps"])
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=setting.weight_decay)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    for batch in rows[-1]:
        model.train_on_batch(vectors.reshape(-1, LENGTH)[batch], labels[batch // VIEWS])
    np.testing.assert_allclose(heads.kernels[:, 0], layer.kernel, atol=2e-5)
    np.testing.assert_allclose(heads.biases[0], layer.bias, atol=2e-5)
    np.testing.assert_allclose(heads.score(vectors), layer(vectors), atol=2e-5)


def test_heads_that_train_together_are_those_that_train_alone(data):
    together = train_heads(*data, CLASSES, SETTINGS, **OPTIONS)
    for index, setting in enumerate(SETTINGS):
        alone = train_heads(*data, CLASSES, [setting], **OPTIONS)
        np.testing.assert_allclose(together.kernels[:, index], alone.kernels[:, 0], atol=1e-6)
        np.testing.assert_allclose(together.score(data[0], index), alone.score(data[0]), atol=1e-6)


def test_half_precision_vectors_are_taken(data):
    vectors = data[0].astype("float16")
    heads = train_heads(vectors, data[1], CLASSES, SETTINGS[:1], **OPTIONS)
    exact = train_heads(vectors.astype("float32"), data[1], CLASSES, SETTINGS[:1], **OPTIONS)
    assert np.array_equal(heads.kernels, exact.kernels)


def test_an_epoch_sees_every_image_once_by_any_view():
    rows = draw_batches(10, 4, 50, 5, np.random.default_rng(0))
    assert rows.shape == (50, 5)
    epochs = rows.reshape(25, 10)
    assert (np.sort(epochs // 4, axis=1) == np.arange(10)).all()
    assert set((epochs % 4).ravel().tolist()) == {0, 1, 2, 3}
