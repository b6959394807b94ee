"""Fine-tuning: what it reaches, how it resumes, and its steps against the update written out."""

import keras
import numpy as np
import pytest
import scenes
import tensorflow as tf
from trained_detectors import HEAD_OPTIONS, make_detector, measure_map

from spp_keras.detection import compression, evaluation, head_training, heads
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.training_images import TrainingImages


def create_head(network):
    keras.utils.set_random_seed(3)
    return make_detector(network)[1]


def test_train_head_makes_a_detector_that_finds_the_objects(trained, validation_cache):
    assert [row["epoch"] for row in trained.history] == list(range(1, 9))
    assert trained.history[-1]["loss"] < 0.8 * trained.history[0]["loss"]
    assert measure_map(trained.detector, validation_cache) > 0.6


def test_detect_images_agrees_with_the_detector(trained, validation_cache):
    detections = evaluation.detect_images(trained.detector, validation_cache, progress=False)
    images = validation_cache.images
    for index in (0, 4):
        pixels = images.read_pixels(index).astype("float32")
        outputs = trained.detector((pixels[np.newaxis], images[index].rois[np.newaxis]))
        count, expected = int(outputs["count"][0]), detections[index].scores
        # The cached feature maps are in half precision.
        assert abs(count - len(expected)) <= 1
        np.testing.assert_allclose(outputs["scores"][0, :3], expected[:3], rtol=2e-2)


@pytest.mark.integration
def test_train_head_resumes_after_its_last_epoch(trained, tmp_path):
    class Killed(Exception):
        pass

    on_epoch_end = head_training._RoIBatches.on_epoch_end

    def kill(batches):
        on_epoch_end(batches)
        if batches.epoch == 6:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_training._RoIBatches, "on_epoch_end", kill)
        with pytest.raises(Killed):
            head_training.train_head(
                create_head(trained.network),
                trained.features,
                tmp_path / "last.npz",
                **HEAD_OPTIONS,
            )
    head = create_head(trained.network)
    resumed = head_training.train_head(
        head, trained.features, tmp_path / "last.npz", **HEAD_OPTIONS
    )
    assert [row["epoch"] for row in resumed] == list(range(1, 9))
    assert resumed[-1]["loss"] == pytest.approx(trained.history[-1]["loss"], rel=1e-4)
    for a, b in zip(head.get_weights(), trained.head.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.integration
def test_a_truncated_head_can_be_trained_further(trained, validation_cache, tmp_path):
    detector = trained.detector
    thin = compression.truncate_dense(detector, (16,))
    assert thin.head.count_params() < detector.head.count_params()
    assert measure_map(thin, validation_cache) > 0.5
    thin = compression.truncate_dense(detector, (3,))
    keras.utils.set_random_seed(0)
    head = heads.make_trainable(thin.head, dropout=0.2)
    head_training.train_head(
        head, trained.features, tmp_path / "last.npz", epochs=8, learning_rate=0.05
    )
    again = thin.replace(head=heads.finalize_head(head))
    assert again.head.count_params() == thin.head.count_params()
    assert measure_map(again, validation_cache) > measure_map(thin, validation_cache) + 0.2


# Twelve images and their mirror images, each twice, 24 in a batch: two batches an epoch.
BATCHES = {"images_per_batch": 24, "rois_per_image": 4}


@pytest.fixture
def head(network):
    keras.utils.set_random_seed(5)
    return heads.build_softmax_head(network, len(scenes.CLASSES), dropout=0.0)


def compute_loss(head, batch):
    """Cross-entropy and smooth L1, without Keras' own losses."""
    vectors, targets = batch
    outputs = head(vectors, training=True)
    likelihood = tf.gather(outputs["probabilities"], targets["probabilities"], axis=1, batch_dims=1)
    values, weights = np.split(targets["deltas"], 2, axis=1)
    error = tf.abs(values - outputs["deltas"]) * weights
    smooth = tf.where(error < 1, error**2 / 2, error - 0.5)
    return tf.reduce_mean(-tf.math.log(likelihood)) + tf.reduce_mean(tf.reduce_sum(smooth, axis=1))


@pytest.fixture
def batches(monkeypatch):
    """The batches of fine-tuning, in their order."""
    taken = []
    get = head_training._RoIBatches.__getitem__
    monkeypatch.setattr(
        head_training._RoIBatches,
        "__getitem__",
        lambda *arguments: taken.append(get(*arguments)) or taken[-1],
    )
    return taken


def test_train_head_steps_by_momentum_and_decay_at_a_learning_rate_that_drops(
    head, cache, batches, tmp_path, monkeypatch
):
    """Decay is times the learning rate, beside the momentum: Caffe's is ten times as strong."""
    rate, momentum, decay, epochs = 0.05, 0.9, 0.4, 5
    # So strong that it shows.
    monkeypatch.setattr(head_training, "_WEIGHT_DECAY", decay)
    begun = head.get_weights()
    head_training.train_head(
        head,
        RoIFeatures(cache),
        tmp_path / "last.npz",
        epochs=epochs,
        learning_rate=rate,
        seed=3,
        **BATCHES,
    )
    got = head.get_weights()

    head.set_weights(begun)
    weights = [weight.copy() for weight in begun]
    velocities = [np.zeros_like(weight) for weight in begun]
    # Keras looks at some before the first step.
    for step, batch in enumerate(batches[-2 * epochs :]):
        with tf.GradientTape() as tape:
            loss = compute_loss(head, batch)
        gradients = tape.gradient(loss, head.trainable_variables)
        # Keras' schedule takes the step at its boundary, the ninth, with the first rate.
        step_rate = rate if step <= 8 else rate / 10
        for i, gradient in enumerate(gradients):
            if weights[i].ndim > 1:
                weights[i] -= step_rate * decay * weights[i]
            velocities[i] = momentum * velocities[i] - step_rate * gradient.numpy()
            weights[i] += velocities[i]
        head.set_weights(weights)
    for a, b, before in zip(got, weights, begun, strict=True):
        np.testing.assert_allclose(a - before, b - before, rtol=2e-3, atol=2e-5)


def test_the_defaults_of_train_head(head, cache, training_images, tmp_path):
    """Where there are no objects, nothing but decay moves the box deltas."""
    cache.images = replace_images(
        training_images, gt_boxes=np.zeros((0, 4), "float32"), gt_classes=np.zeros(0, int)
    )
    before = head.get_layer("deltas").kernel.numpy()
    head_training.train_head(head, RoIFeatures(cache), tmp_path / "last.npz", epochs=5, **BATCHES)
    # At 0.01 for nine of ten steps, then at 0.001; 5e-4 of each.
    factor = (1 - 0.01 * 5e-4) ** 9 * (1 - 0.001 * 5e-4)
    np.testing.assert_allclose(head.get_layer("deltas").kernel, before * factor, rtol=1e-6)
    assert head.optimizer.momentum == 0.9


def replace_images(images, **changes):
    """The same images with other ground truth."""
    copy = TrainingImages.__new__(TrainingImages)
    changed = [images[i]._replace(**changes) for i in range(len(images))]
    copy.__dict__ = {**images.__dict__, "_images": changed}
    return copy
