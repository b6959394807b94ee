"""Random samples of foreground and background, from the labels of `ops.match_boxes`."""

import numpy as np

from spp_keras.ops import BACKGROUND, FOREGROUND, IGNORED


def subsample_labels(
    labels: np.ndarray, num_samples: int, foreground_fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws foreground and background without repeats, fewer where there are fewer.

    Args:
        labels: `(n,)`, labels of `match_boxes`.
        num_samples: Most samples in all.
        foreground_fraction: Most of them that are foreground, as a fraction.
        rng: The random generator.

    Returns:
        Indices of the foreground and of the background.

    Example:

    >>> foreground, background = subsample_labels(
    ...     np.array([1, -1, 0, 0, 0]), 3, 0.5, np.random.default_rng(0)
    ... )
    >>> foreground.tolist(), len(background)
    ([0], 2)
    """
    foreground = rng.permutation(np.flatnonzero(labels == FOREGROUND))
    foreground = foreground[: int(foreground_fraction * num_samples)]
    background = rng.permutation(np.flatnonzero(labels == BACKGROUND))
    return foreground, background[: num_samples - len(foreground)]


def sample_with_repeats(
    labels: np.ndarray, num_samples: int, foreground_fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws exactly so many samples, some of them more than once where there are fewer.

    Without background the ignored ones are drawn in its place; without these, too, all
    samples are foreground.

    Args:
        labels: As for `subsample_labels`.
        num_samples: Number of samples.
        foreground_fraction: How many of them are foreground, as a fraction.
        rng: The random generator.

    Returns:
        Indices of the foreground and of the background.

    Example:

    >>> foreground, background = sample_with_repeats(
    ...     np.array([1, -1, 0]), 8, 0.25, np.random.default_rng(0)
    ... )
    >>> foreground.tolist(), background.tolist()
    ([0, 0], [2, 2, 2, 2, 2, 2])
    """
    foreground = np.flatnonzero(labels == FOREGROUND)
    background = np.flatnonzero(labels == BACKGROUND)
    if not background.size:
        background = np.flatnonzero(labels == IGNORED)
    if not background.size:
        num_foreground = num_samples
    else:
        num_foreground = round(foreground_fraction * num_samples) if foreground.size else 0
    return (
        _draw(foreground, num_foreground, rng),
        _draw(background, num_samples - num_foreground, rng),
    )


def _draw(indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not count:
        return np.zeros(0, int)
    return rng.choice(indices, count, replace=len(indices) < count)
