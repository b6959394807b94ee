"""The steps of fine-tuning, against the update written out."""

import keras
import numpy as np
import pytest
import scenes
import tensorflow as tf

from spp_keras.detection import head_training, heads
from spp_keras.detection.training_images import TrainingImages

# Of twelve images and their mirror images twelve in a batch: two batches an epoch.
BATCHES = {"images": 12, "windows": 48, "visits": 1}


@pytest.fixture
def head(halves):
    keras.utils.set_random_seed(5)
    return heads.build_softmax_head(halves, len(scenes.CLASSES), dropout=0.0)


def losses(head, batch):
    """Cross-entropy and smooth L1, without Keras' own losses."""
    vectors, expected = batch
    found = head(vectors, training=True)
    right = tf.gather(found["probabilities"], expected["probabilities"], axis=1, batch_dims=1)
    values, counts = np.split(expected["deltas"], 2, axis=1)
    error = tf.abs(values - found["deltas"]) * counts
    smooth = tf.where(error < 1, error**2 / 2, error - 0.5)
    return tf.reduce_mean(-tf.math.log(right)) + tf.reduce_mean(tf.reduce_sum(smooth, axis=1))


@pytest.fixture
def batches(monkeypatch):
    """Whatever fine-tuning is given, in its order."""
    asked = []
    get = head_training._Batches.__getitem__
    monkeypatch.setattr(
        head_training._Batches,
        "__getitem__",
        lambda *arguments: asked.append(get(*arguments)) or asked[-1],
    )
    return asked


def test_fine_tuning_steps_by_momentum_a_rate_that_drops_and_decay_at_that_rate(
    head, known, batches, tmp_path
):
    """Decay is times the rate, beside the momentum: Caffe's is ten times as strong in the end."""
    rate, momentum, decay, epochs = 0.05, 0.9, 0.4, 5
    begun = head.get_weights()
    options = {"learning_rate": rate, "momentum": momentum, "weight_decay": decay, "seed": 3}
    head_training.train_head(
        head, known, tmp_path / "last.npz", epochs=epochs, **BATCHES, **options
    )
    got = head.get_weights()

    head.set_weights(begun)
    weights = [weight.copy() for weight in begun]
    velocities = [np.zeros_like(weight) for weight in begun]
    # Keras looks at some before the first step.
    for step, batch in enumerate(batches[-2 * epochs :]):
        with tf.GradientTape() as tape:
            loss = losses(head, batch)
        gradients = tape.gradient(loss, head.trainable_variables)
        # Keras' schedule takes the step at its boundary, the ninth, with the first rate.
        now = rate if step <= 8 else rate / 10
        for place, gradient in enumerate(gradients):
            if weights[place].ndim > 1:
                weights[place] -= now * decay * weights[place]
            velocities[place] = momentum * velocities[place] - now * gradient.numpy()
            weights[place] += velocities[place]
        head.set_weights(weights)
    for a, b, before in zip(got, weights, begun, strict=True):
        np.testing.assert_allclose(a - before, b - before, rtol=2e-3, atol=2e-5)


def test_the_defaults_of_fine_tuning(head, known, learning, tmp_path):
    """Where there are no objects, nothing but decay moves the corrections."""
    nothing = [
        learning[i]._replace(objects=np.zeros((0, 4), "float32"), labels=np.zeros(0, int))
        for i in range(len(learning))
    ]
    known.examples = TrainingImages.__new__(TrainingImages)
    known.examples.__dict__ = {**learning.__dict__, "_all": nothing}
    before = head.get_layer("deltas").kernel.numpy()
    head_training.train_head(head, known, tmp_path / "last.npz", epochs=5, **BATCHES)
    # At 0.01 for nine of ten steps, then at 0.001; 5e-4 of each.
    factor = (1 - 0.01 * 5e-4) ** 9 * (1 - 0.001 * 5e-4)
    np.testing.assert_allclose(head.get_layer("deltas").kernel, before * factor, rtol=1e-6)
    assert head.optimizer.momentum == 0.9
