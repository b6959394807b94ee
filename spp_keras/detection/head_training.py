"""Fine-tuning of a head on pooled windows, while the convolutions stay as they are."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import ops
from spp_keras.detection import heads, window_features
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.training_images import TrainingImage
from spp_keras.training import checkpoints, progress

# The paper's: a quarter of the windows show an object. What overlaps one by less than a
# tenth teaches little about where objects end.
_POSITIVES = 0.25
_OBJECT, _BACKGROUND = 0.5, (0.1, 0.5)


def train_head(
    head: keras.Model,
    maps: FeatureMapCache,
    state: str | Path,
    *,
    epochs: int = 12,
    images: int = 4,
    windows: int = 128,
    visits: int = 2,
    learning_rate: float = 1e-2,
    drops: Sequence[float] = (0.8,),
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Trains a head as `spp_keras.detection.heads.build_softmax_head` makes it, jointly for both answers.

    A batch is some windows of some images. A killed run goes on behind the last
    whole epoch, and its result is the same.

    The paper fine-tunes by softmax alone, 250,000 batches at a rate of 1e-4 and
    50,000 at 1e-5. The defaults are not these: they are for `epochs` of a small
    data set.

    Args:
        head: The head.
        maps: Maps of the examples.
        state: File for the state behind each epoch.
        epochs: How many.
        images: Images in a batch. Defaults to 4.
        windows: Windows in a batch. Defaults to the release's 128.
        visits: How often an epoch visits an image. Defaults to 2.
        learning_rate: Of the first epochs. Defaults to 1e-2.
        drops: Shares of the epochs behind which it is divided by ten. Defaults
            to `(0.8,)`; the paper's one drop comes behind five sixths.
        momentum: Defaults to 0.9.
        weight_decay: Per step, times the rate alone, as Keras has it. Caffe's goes
            through the momentum, too, which makes it ten times as strong in the
            long run. Defaults to 5e-4.
        seed: Of the windows drawn and of dropout.

    Returns:
        A row of numbers for each epoch.
    """
    state = Path(state)
    batches = _Batches(maps, images, windows // images, visits, seed, _classes(head))
    boundaries = [max(1, round(share * epochs * len(batches))) for share in drops]
    rates = [learning_rate / 10**drop for drop in range(len(drops) + 1)]
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates),
        momentum=momentum,
        # Caffe's, and that of `training.trainer`, is this over 1 - momentum: ten times as much.
        weight_decay=weight_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    head.compile(
        optimizer,
        loss={"probabilities": "sparse_categorical_crossentropy", "deltas": heads.smooth_l1},
        metrics={"probabilities": ["accuracy"]},
    )
    optimizer.build(head.trainable_variables)
    checkpoint = checkpoints.Checkpoint(
        head, state, state.with_name("unused.weights.h5"), monitor="none", minutes=math.inf
    )
    checkpoint.restore(optimizer)
    batches.epoch = checkpoint.epoch
    history = _Rows(checkpoint.history)
    if checkpoint.epoch < epochs:
        head.fit(
            batches,
            epochs=epochs,
            initial_epoch=checkpoint.epoch,
            shuffle=False,
            verbose=0,
            callbacks=[
                progress.ProgressBar(epochs, len(batches), images),
                history,
                checkpoint,
            ],
        )
    return checkpoint.history


class _Rows(keras.callbacks.Callback):
    """Keeps the numbers of each epoch."""

    def __init__(self, history: list[dict[str, float]]):
        super().__init__()
        self.history = history

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.history.append({"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}})


class _Batches(keras.utils.PyDataset):
    """Batches of windows, pooled when they are asked for, that follow from seed and number."""

    def __init__(
        self, maps: FeatureMapCache, images: int, windows: int, visits: int, seed: int, classes: int
    ):
        super().__init__()
        self.maps, self.images, self.windows, self.visits = maps, images, windows, visits
        self.seed, self.classes, self.epoch = seed, classes, 0
        self._vectors = window_features.make_feature_function(maps)

    def __len__(self) -> int:
        return math.ceil(self.visits * len(self.maps) / self.images)

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def __getitem__(self, number: int) -> tuple[Any, dict[str, Any]]:
        order = self._order()
        parts = [
            self._of_image(order[place % len(order)], place)
            for place in range(number * self.images, (number + 1) * self.images)
        ]
        vectors, labels, windows, objects = map(np.concatenate, zip(*parts, strict=True))
        deltas = ops.encode_boxes(windows, objects).numpy()
        return vectors, {
            "probabilities": labels,
            "deltas": heads.box_targets(deltas, labels, self.classes),
        }

    def _order(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, self.epoch))
        orders = [rng.permutation(len(self.maps)) for _ in range(self.visits)]
        return np.concatenate(orders)

    def _of_image(self, number: int, place: int) -> tuple[np.ndarray, ...]:
        example = self.maps.examples[number]
        rng = np.random.default_rng((self.seed, self.epoch, place))
        which, labels, objects = sample_rois(example, self.windows, rng)
        return self._vectors(number, which), labels, example.windows[which], objects


def sample_rois(
    example: TrainingImage, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of an image to learn from: a quarter of objects, the others of what is near.

    Args:
        example: The image.
        count: How many windows, some of them several times where there are fewer.
        rng: What draws them.

    Returns:
        Their numbers, labels from 1 with 0 for the background, and the box of the
        object that each shows, of the background its own.
    """
    if not len(example.windows):
        raise ValueError(f"The image {example.id!r} has neither an object nor a proposal.")
    overlaps = ops.box_iou(example.windows, example.objects)
    if not overlaps.shape[1]:
        overlaps = np.zeros((len(example.windows), 1))
    best, most = overlaps.argmax(axis=1), overlaps.max(axis=1)
    positive = np.flatnonzero(most >= _OBJECT)
    near = np.flatnonzero((most >= _BACKGROUND[0]) & (most < _BACKGROUND[1]))
    negative = near if near.size else np.flatnonzero(most < _OBJECT)
    share = round(_POSITIVES * count) if positive.size and negative.size else 0
    if not negative.size:
        share = count
    which = np.concatenate([_some(positive, share, rng), _some(negative, count - share, rng)])
    labels = np.zeros(count, "int32")
    shown = example.windows[which]
    if share:
        objects = best[which[:share]]
        labels[:share] = example.labels[objects] + 1
        shown[:share] = example.objects[objects]
    return which.astype("int32"), labels, shown


def _some(numbers: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not count:
        return np.zeros(0, int)
    return rng.choice(numbers, count, replace=len(numbers) < count)


def _classes(head: keras.Model) -> int:
    return head.get_layer("probabilities").units - 1
