"""Training of the layer that proposes windows, while the convolutions stay as they are."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _progress
from spp_keras.detection import box_coding, boxes, heads
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.detection.training_images import TrainingImage

# Faster R-CNN's: what overlaps an object so much is to be proposed, so little is not; and
# windows learned from in an image, at most half of them of objects.
_OBJECT, _BACKGROUND = 0.6, 0.3
_WINDOWS = 256


def train_rpn(
    rpn: RegionProposalNetwork,
    maps: FeatureMapCache,
    *,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Trains a proposer on the maps of the scale in the middle.

    Args:
        rpn: The layer; its weights change.
        maps: Maps of the examples.
        epochs: How often it sees each image. Defaults to 4.
        learning_rate: Of Adam, at the start; it falls to nothing by a cosine.
            Defaults to 1e-3.
        seed: Of order and windows. Defaults to 0.
        progress: Whether to show bars. Defaults to `True`.
    """
    detector = maps.detector
    middle = len(detector.scales) // 2
    scale = detector.scales[middle]
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(maps))
    )
    rpn.build((1, None, None, detector.trunk.output_shape[-1]))
    optimizer.build(rpn.trainable_variables)

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, None, None, detector.trunk.output_shape[-1])),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,)),
            tf.TensorSpec((None, 4)),
        ],
        autograph=False,
    )
    def step(one: Any, which: Any, labels: Any, deltas: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, found = rpn(one)
            logits, found = tf.gather(logits, which), tf.gather(found, which)
            loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            counts = tf.repeat(labels[:, tf.newaxis], 4, axis=1)
            loss += heads.smooth_l1(tf.concat([deltas, counts], axis=1), found)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, rpn.trainable_variables)
        optimizer.apply_gradients(zip(gradients, rpn.trainable_variables, strict=True))
        return loss

    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(maps))
        what = f"RegionProposalNetwork, epoch {epoch + 1}/{epochs}"
        for number in _progress.create_bar(order, what, disable=not progress):
            example, one = maps.examples[number], maps[number][middle]
            target = detector.scaled_size(example.size, scale).numpy()
            rows, columns = one.shape[1:3]
            anchors = rpn.anchors(rows, columns, detector.grid).numpy()
            rng = np.random.default_rng((seed, epoch, number))
            step(one, *_drawn(example, anchors, target, rng))


def _drawn(
    example: TrainingImage, anchors: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of anchors, whether each is an object's, and corrections."""
    factors = np.tile(target / np.array(example.size), 2)[[1, 0, 3, 2]]
    objects = example.objects * factors.astype("float32")
    overlaps = boxes.box_iou(anchors, objects)
    most = overlaps.max(axis=1, initial=0)
    positive = most >= _OBJECT
    if len(objects):
        # The best of each object, however little that is.
        best_of = overlaps.max(axis=0)
        positive |= ((overlaps == best_of) & (best_of > 0)).any(axis=1)
    objects_of = np.flatnonzero(positive)
    others = np.flatnonzero(~positive & (most < _BACKGROUND))
    objects_of = rng.permutation(objects_of)[: _WINDOWS // 2]
    others = rng.permutation(others)[: _WINDOWS - len(objects_of)]
    which = np.concatenate([objects_of, others]).astype("int32")
    labels = np.repeat([1.0, 0.0], [len(objects_of), len(others)]).astype("float32")
    deltas = np.zeros((len(which), 4), "float32")
    if len(objects_of):
        nearest = overlaps[objects_of].argmax(axis=1)
        deltas[: len(objects_of)] = box_coding.encode_boxes(anchors[objects_of], objects[nearest])
    return which, labels, deltas
