"""Fine-tuning of a detector's head on pooled RoIs; the convolutions stay frozen."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import ops
from spp_keras.detection import heads, sampling
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.training_images import TrainingImage
from spp_keras.training import checkpoints, progress_bar

# The paper's: a quarter of the RoIs are foreground. An IoU below a tenth teaches little about
# where objects end.
_FOREGROUND_FRACTION = 0.25
_FOREGROUND_IOU, _BACKGROUND_IOU = 0.5, (0.1, 0.5)
# Each image is sampled so often in an epoch, each time with other RoIs.
_VISITS_PER_EPOCH = 2
# Caffe multiplies weight decay by 1 / (1 - momentum) in the long run, and so does
# `training.trainer`; Keras' is per step, times the learning rate alone.
_MOMENTUM, _WEIGHT_DECAY = 0.9, 5e-4


def train_head(
    head: keras.Model,
    features: RoIFeatures,
    checkpoint_path: str | Path,
    *,
    epochs: int = 12,
    images_per_batch: int = 4,
    rois_per_image: int = 32,
    learning_rate: float = 1e-2,
    lr_drops_at: Sequence[float] = (0.8,),
    seed: int = 0,
) -> list[dict[str, float]]:
    """Trains a head of `heads.build_softmax_head`: classes and box deltas at once.

    A killed training resumes after its last complete epoch, with the same result.

    The paper fine-tunes the classes alone, for 250,000 batches at a learning rate of
    1e-4 and 50,000 at 1e-5. The defaults here are for a small data set.

    Args:
        head: The head; its weights change.
        features: Features of the training images' RoIs.
        checkpoint_path: File of the checkpoint, written after each epoch.
        epochs: Number of epochs, each with two samples of RoIs of every image. Defaults
            to 12.
        images_per_batch: Images in a batch. Defaults to 4.
        rois_per_image: RoIs sampled of each. Defaults to 32, so that a batch has the
            release's 128.
        learning_rate: The first learning rate. Defaults to 1e-2.
        lr_drops_at: Fractions of the training after which the learning rate is divided by
            ten. Defaults to `(0.8,)`; the paper's one drop is after five sixths.
        seed: Seed of the sampled RoIs. Defaults to 0.

    Returns:
        A row of metrics for each epoch.
    """
    path = Path(checkpoint_path)
    batches = _RoIBatches(features, images_per_batch, rois_per_image, seed, _count_classes(head))
    optimizer = _create_optimizer(learning_rate, lr_drops_at, epochs * len(batches))
    head.compile(
        optimizer,
        loss={"probabilities": "sparse_categorical_crossentropy", "deltas": heads.smooth_l1},
        metrics={"probabilities": ["accuracy"]},
    )
    optimizer.build(head.trainable_variables)
    checkpoint = checkpoints.Checkpoint(
        head, path, path.with_name("unused.weights.h5"), monitor="none", minutes=math.inf
    )
    checkpoint.restore(optimizer)
    batches.epoch = checkpoint.epoch
    if checkpoint.epoch < epochs:
        head.fit(
            batches,
            epochs=epochs,
            initial_epoch=checkpoint.epoch,
            shuffle=False,
            verbose=0,
            callbacks=[
                progress_bar.ProgressBar(epochs, len(batches), images_per_batch),
                _History(checkpoint.history),
                checkpoint,
            ],
        )
    return checkpoint.history


def sample_rois(
    image: TrainingImage, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples RoIs of an image to train on: a quarter foreground, the rest near it.

    Args:
        image: The image.
        count: Number of RoIs; where there are fewer, some are repeated.
        rng: The random generator.

    Returns:
        Indices of the RoIs; their classes from 1, 0 for the background; and the box that
        each is to become, for the background the RoI itself.
    """
    if not len(image.rois):
        raise ValueError(f"The image {image.id!r} has neither an object nor a proposal.")
    iou = ops.box_iou(image.rois, image.gt_boxes)
    matches = ops.match_boxes(iou, _FOREGROUND_IOU, _BACKGROUND_IOU)
    foreground, background = sampling.sample_with_repeats(
        matches.labels, count, _FOREGROUND_FRACTION, rng
    )
    roi_indices = np.concatenate([foreground, background])
    classes = np.zeros(count, "int32")
    boxes = image.rois[roi_indices]
    if len(foreground):
        gt_indices = matches.indices[foreground]
        classes[: len(foreground)] = image.gt_classes[gt_indices] + 1
        boxes[: len(foreground)] = image.gt_boxes[gt_indices]
    return roi_indices.astype("int32"), classes, boxes


class _History(keras.callbacks.Callback):
    """Appends the metrics of each epoch to a list."""

    def __init__(self, rows: list[dict[str, float]]):
        super().__init__()
        self.rows = rows

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **metrics})


class _RoIBatches(keras.utils.PyDataset):
    """Batches of pooled RoIs, each a function of the seed, the epoch and its index."""

    def __init__(
        self,
        features: RoIFeatures,
        images_per_batch: int,
        rois_per_image: int,
        seed: int,
        num_classes: int,
    ):
        super().__init__()
        self.features, self.seed, self.num_classes = features, seed, num_classes
        self.images_per_batch, self.rois_per_image = images_per_batch, rois_per_image
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(_VISITS_PER_EPOCH * len(self.features) / self.images_per_batch)

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[Any, dict[str, Any]]:
        order = self._draw_order()
        first = index * self.images_per_batch
        samples = [
            self._sample_image(order[position % len(order)], position)
            for position in range(first, first + self.images_per_batch)
        ]
        vectors, classes, rois, boxes = map(np.concatenate, zip(*samples, strict=True))
        deltas = keras.ops.convert_to_numpy(ops.encode_boxes(rois, boxes))
        return vectors, {
            "probabilities": classes,
            "deltas": heads.box_targets(deltas, classes, self.num_classes),
        }

    def _draw_order(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, self.epoch))
        orders = [rng.permutation(len(self.features)) for _ in range(_VISITS_PER_EPOCH)]
        return np.concatenate(orders)

    def _sample_image(self, index: int, position: int) -> tuple[np.ndarray, ...]:
        image = self.features.images[index]
        rng = np.random.default_rng((self.seed, self.epoch, position))
        roi_indices, classes, boxes = sample_rois(image, self.rois_per_image, rng)
        return self.features(index, roi_indices), classes, image.rois[roi_indices], boxes


def _create_optimizer(
    learning_rate: float, lr_drops_at: Sequence[float], steps: int
) -> keras.optimizers.Optimizer:
    boundaries = [max(1, round(fraction * steps)) for fraction in lr_drops_at]
    rates = [learning_rate / 10**drop for drop in range(len(boundaries) + 1)]
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates),
        momentum=_MOMENTUM,
        weight_decay=_WEIGHT_DECAY,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _count_classes(head: keras.Model) -> int:
    return head.get_layer("probabilities").units - 1
