"""Training of a region proposal network on cached feature maps."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _progress, ops
from spp_keras.detection import heads, sampling
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.detection.training_images import TrainingImage

# Those of Faster R-CNN.
_FOREGROUND_IOU, _BACKGROUND_IOU = 0.6, (0.0, 0.3)
_ANCHORS_PER_IMAGE, _FOREGROUND_FRACTION = 256, 0.5


def train_rpn(
    rpn: RegionProposalNetwork,
    cache: FeatureMapCache,
    *,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Trains a region proposal network on the feature maps of the middle scale.

    Args:
        rpn: The layer; its weights change.
        cache: Feature maps of the training images.
        epochs: Number of epochs. Defaults to 4.
        learning_rate: Initial learning rate of Adam, which decays to zero by a cosine.
            Defaults to 1e-3.
        seed: Seed of the order and of the sampled anchors. Defaults to 0.
        progress: Whether to show progress bars. Defaults to `True`.
    """
    detector = cache.detector
    middle = len(detector.scales) // 2
    train_step = _make_train_step(
        rpn, detector.trunk.output_shape[-1], learning_rate, epochs * len(cache)
    )
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(cache))
        description = f"RPN, epoch {epoch + 1}/{epochs}"
        for index in _progress.create_bar(order, description, disable=not progress):
            image, feature_map = cache.images[index], cache[index][middle]
            scaled_size = detector.scale_image_size(image.size, detector.scales[middle]).numpy()
            rows, columns = feature_map.shape[1:3]
            anchors = rpn.anchors(rows, columns, detector.grid, scaled_size).numpy()
            rng = np.random.default_rng((seed, epoch, index))
            train_step(feature_map, *_sample_anchors(image, anchors, scaled_size, rng))


def _make_train_step(
    rpn: RegionProposalNetwork, channels: int, learning_rate: float, steps: int
) -> Callable[..., Any]:
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    rpn.build((1, None, None, channels))
    optimizer.build(rpn.trainable_variables)

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, None, None, channels)),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,)),
            tf.TensorSpec((None, 4)),
        ],
        autograph=False,
    )
    def train_step(feature_map: Any, anchor_indices: Any, labels: Any, gt_deltas: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, deltas = rpn(feature_map)
            logits, deltas = tf.gather(logits, anchor_indices), tf.gather(deltas, anchor_indices)
            loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            weights = tf.repeat(labels[:, tf.newaxis], 4, axis=1)
            loss += heads.smooth_l1(tf.concat([gt_deltas, weights], axis=1), deltas)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, rpn.trainable_variables)
        optimizer.apply_gradients(zip(gradients, rpn.trainable_variables, strict=True))
        return loss

    return train_step


def _sample_anchors(
    image: TrainingImage, anchors: np.ndarray, scaled_size: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of anchors, 1 or 0 for fore- and background, and box deltas of each."""
    factors = np.tile(scaled_size / np.array(image.size), 2)[[1, 0, 3, 2]]
    gt_boxes = image.gt_boxes * factors.astype("float32")
    iou = ops.box_iou(anchors, gt_boxes)
    matches = ops.match_boxes(iou, _FOREGROUND_IOU, _BACKGROUND_IOU, allow_low_quality=True)
    foreground, background = sampling.subsample_labels(
        matches.labels, _ANCHORS_PER_IMAGE, _FOREGROUND_FRACTION, rng
    )
    anchor_indices = np.concatenate([foreground, background]).astype("int32")
    labels = np.repeat([1.0, 0.0], [len(foreground), len(background)]).astype("float32")
    deltas = np.zeros((len(anchor_indices), 4), "float32")
    if len(foreground):
        deltas[: len(foreground)] = ops.encode_boxes(
            anchors[foreground], gt_boxes[matches.indices[foreground]]
        )
    return anchor_indices, labels, deltas
