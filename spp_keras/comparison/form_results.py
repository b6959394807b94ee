"""Results of one form of images: a head for each seed, and which test images it gets right."""

from typing import Any, NamedTuple

import numpy as np

from spp_keras import _progress
from spp_keras.comparison.head_training import HeadSettings, train_heads
from spp_keras.comparison.image_splits import ImageSplit

# The same for all forms; chosen for each form and seed by the loss on validation images.
GRID = [HeadSettings(rate, decay) for rate in (3e-4, 1e-3, 3e-3) for decay in (0.0, 1.0)]
BATCH_SIZE = 64
_EPOCHS, _MIN_STEPS = 40, 300


class FormVectors(NamedTuple):
    """The vectors of a form.

    Args:
        train: `(images, views, length)`, the first view being that of the test.
        test: `(images, length)`, of all images that may be tested.
        ten: `(images, views, length)`, of the same; or `None`.
    """

    train: np.ndarray
    test: np.ndarray
    ten: np.ndarray | None


class FormResults(NamedTuple):
    """What came of a form, by seeds.

    Args:
        correct: For each seed whether each test image was classified correctly.
        correct_by_ten: The same by ten views, or none.
        chosen: For each seed the settings that were chosen.
    """

    correct: list[np.ndarray]
    correct_by_ten: list[np.ndarray]
    chosen: list[HeadSettings]


def evaluate_form(
    vectors: FormVectors,
    labels: np.ndarray,
    splits: list[ImageSplit],
    test_start: int,
    description: str,
) -> FormResults:
    """Trains and tests a head on each split.

    The settings are those with the least loss on the validation images. With them the head is
    trained anew, on these images too.

    Args:
        vectors: Vectors of the form.
        labels: `(images,)`, indices of classes.
        splits: A split for each seed.
        test_start: Index of the image that is the first in the vectors of tested images.
        description: Text of the progress bar.
    """
    results = FormResults([], [], [])
    for seed, split in enumerate(_progress.create_bar(splits, description, unit="seeds")):
        chosen = _choose_settings(vectors.train, labels, split, seed)
        together = np.sort(np.concatenate([split.train, split.validation]))
        heads = _train(vectors.train, labels, together, split, [chosen], seed)
        rows = split.test - test_start
        scores = heads.score(vectors.test[rows])
        results.correct.append(scores.argmax(axis=1) == labels[split.test])
        if vectors.ten is not None:
            scores = heads.score(vectors.ten[rows]).mean(axis=1)
            results.correct_by_ten.append(scores.argmax(axis=1) == labels[split.test])
        results.chosen.append(chosen)
    return results


def count_steps(images: int) -> int:
    """Number of batches that a head is trained on: 40 epochs, at the least 300 batches.

    Args:
        images: Number of images to train on.

    Example:

    >>> count_steps(200), count_steps(6400)
    (300, 4000)
    """
    return max(_MIN_STEPS, _EPOCHS * -(-images // BATCH_SIZE))


def _choose_settings(
    vectors: np.ndarray, labels: np.ndarray, split: ImageSplit, seed: int
) -> HeadSettings:
    heads = _train(vectors, labels, split.train, split, GRID, seed)
    expected = labels[split.validation][:, np.newaxis]
    losses = []
    for index in range(len(GRID)):
        scores = heads.score(vectors[split.validation, 0], index)
        # No score of 0, of which the logarithm would be infinite.
        likely = np.maximum(np.take_along_axis(scores, expected, axis=1), 1e-30)
        losses.append(float(-np.log(likely).mean()))
    return GRID[int(np.argmin(losses))]


def _train(
    vectors: np.ndarray,
    labels: np.ndarray,
    images: np.ndarray,
    split: ImageSplit,
    settings: list[HeadSettings],
    seed: int,
) -> Any:
    return train_heads(
        vectors[images],
        labels[images],
        int(labels.max()) + 1,
        settings,
        steps=count_steps(len(split.train)),
        batch_size=BATCH_SIZE,
        seed=seed,
    )
