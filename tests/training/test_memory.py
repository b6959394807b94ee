"""Trainings that run out of memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras import run_folder, training
from spp_keras.training import recipe_pipelines


class Exhaust(keras.callbacks.Callback):
    """Raises at a step of an epoch, some times, as TensorFlow does where memory ends."""

    def __init__(self, epoch, step, times=1):
        super().__init__()
        self.at, self.times, self.epoch, self.steps = (epoch, step), times, None, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.steps.append(0)

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at and self.times:
            self.times -= 1
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor")
        self.steps[-1] += 1


@pytest.fixture
def train(recipe, tmp_path):
    def train(name, callback=None, **changes):
        changes = {"checkpoint_minutes": 1e-9, **changes}
        callbacks = [] if callback is None else [callback]
        return training.train_model(recipe(**changes), tmp_path / name, callbacks=callbacks)

    return train


def assert_same_weights(one, other):
    for value, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(value, same)


@pytest.mark.integration
def test_an_epoch_starts_again_with_half_the_pixels(train, recipe, capsys):
    callback = Exhaust(epoch=1, step=3)
    network, history, run = train("one", callback)
    images, _ = recipe_pipelines.build_pipelines(recipe())
    largest = max(x["images"][..., 0].numpy().size for x, _ in images.dataset())
    limit, steps = largest // 2, images.steps_per_epoch
    assert f"epoch 2 starts again with max_pixels={limit}." in capsys.readouterr().err
    more_steps = images.with_max_pixels(limit).steps_per_epoch
    assert steps < more_steps
    assert callback.steps == [steps, 3, more_steps, more_steps]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row.get("max_pixels") for row in history] == [None, limit, limit]
    assert not (run / run_folder.EPOCH_START).exists()
    # As if it had run out at once.
    other, *_ = train("other", Exhaust(epoch=1, step=0))
    assert_same_weights(network, other)


@pytest.mark.integration
def test_a_resumed_training_keeps_the_limit(train):
    network, *_ = train("one", Exhaust(epoch=0, step=1))
    train("two", Exhaust(epoch=0, step=1), epochs=1)
    resumed, history, _ = train("two")
    (limit,) = {row["max_pixels"] for row in history}
    assert limit < 20_000
    assert_same_weights(network, resumed)


@pytest.mark.integration
def test_the_error_is_raised_where_the_largest_image_does_not_fit(train, capsys):
    callback = Exhaust(epoch=0, step=0, times=9)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="OOM when allocating"):
        train("one", callback)
    assert callback.times > 5
    assert capsys.readouterr().err.count("starts again") == 9 - callback.times - 1
