"""Splits of images into those to train, to validate and to test on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TEST_FRACTION, VALIDATION_FRACTION = 0.25, 0.2


class ImageSplit(NamedTuple):
    """Indices of images in ascending order.

    Args:
        train: Of images to train on.
        validation: Of images by which the settings of training are chosen.
        test: Of images to test on.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def draw_split(labels: np.ndarray, copies: np.ndarray, seed: int) -> ImageSplit:
    """Draws a quarter of each class for the test, and of the rest a fifth for validation.

    Args:
        labels: `(images,)`, indices of classes.
        copies: `(images,)`, equal for images that are copies of each other: they are drawn
            together.
        seed: Seed of the draw.

    Example:

    >>> split = draw_split(np.repeat([0, 1], 10), np.arange(20), seed=0)
    >>> [len(part) for part in split]
    [12, 4, 4]
    """
    generator = np.random.default_rng(seed)
    test = _draw(labels, copies, np.ones(len(labels), bool), TEST_FRACTION, generator)
    return draw_validation(labels, copies, np.flatnonzero(test), seed)


def draw_validation(
    labels: np.ndarray, copies: np.ndarray, test: Sequence[int] | np.ndarray, seed: int
) -> ImageSplit:
    """The split with given test images; a fifth of each class of the others is for validation.

    Args:
        labels: `(images,)`, indices of classes.
        copies: As for `draw_split`.
        test: Indices of the test images.
        seed: Seed of the draw.
    """
    others = np.ones(len(labels), bool)
    others[test] = False
    generator = np.random.default_rng((seed, 1))
    validation = _draw(labels, copies, others, VALIDATION_FRACTION, generator)
    train = np.flatnonzero(others & ~validation)
    return ImageSplit(train, np.flatnonzero(validation), np.flatnonzero(~others))


def number_copies(digests: np.ndarray | None, count: int) -> np.ndarray:
    """A number for each image, equal for those whose files have the same bytes.

    Args:
        digests: As in `Records`, `None` where they are unknown.
        count: Number of images.

    Example:

    >>> number_copies(np.array([7, 3, 7], "uint64"), 3).tolist()
    [1, 0, 1]
    """
    return np.arange(count) if digests is None else np.unique(digests, return_inverse=True)[1]


def _draw(
    labels: np.ndarray,
    copies: np.ndarray,
    among: np.ndarray,
    fraction: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """A mask of a fraction of each class, copies together, at least one image left of each."""
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels[among]):
        of_class = among & (labels == label)
        wanted = round(fraction * of_class.sum())
        # Also images of other classes that are copies of one that was drawn before.
        groups = generator.permutation(np.unique(copies[of_class & ~mask]))
        for group in groups[: max(len(groups) - 1, 0)]:
            missing = wanted - (of_class & mask).sum()
            members = among & (copies == group)
            if (of_class & members).sum() <= missing:
                mask |= members
    return mask
