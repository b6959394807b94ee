"""95% intervals of accuracies, and of differences of pairs, over several seeds."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and where it lies with 95% confidence.

    Args:
        mean: The mean.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def resampled_interval(values: Sequence[np.ndarray], train_images: float) -> Interval:
    """The interval of a mean over random splits of the same images.

    Test images of one seed are training images of another, so that results of seeds are alike,
    and a plain t-test finds differences that are not there. The corrected resampled t-test of
    Nadeau and Bengio takes `(1 / seeds + test images / training images)` times the variance of
    the seeds, in place of `1 / seeds`.

    The variance of few seeds may be small by chance, or zero. It is taken to be no smaller than
    that of drawing the test images alone.

    Reference:

    - [Nadeau and Bengio, 2003](https://doi.org/10.1023/A:1024068626366)

    Args:
        values: For each seed the values of its test images: 1 where one is classified correctly
            and else 0, or the difference of two forms.
        train_images: Number of images that were trained on.

    Example:

    >>> values = [np.array([1, 0, 0, 1]), np.array([1, 1, 0, 1]), np.array([0, 0, 0, 1])]
    >>> [round(end, 3) for end in resampled_interval(values, train_images=12)]
    [0.5, -0.378, 1.378]
    """
    means = [float(np.mean(of_seed)) for of_seed in values]
    ratio = float(np.mean([len(of_seed) for of_seed in values])) / train_images
    # Of test images that are drawn from all of them without replacement.
    share_left = 1 / (1 + ratio)
    of_draws = share_left * float(np.mean([_square_error(of_seed) for of_seed in values]))
    variance = max(float(np.var(means, ddof=1)), of_draws)
    half = student_quantile(len(means) - 1) * math.sqrt(variance * (1 / len(means) + ratio))
    return _around(means, half)


def fixed_test_interval(values: Sequence[np.ndarray]) -> Interval:
    """The interval of a mean over seeds with the same test images.

    It is as wide as that of the means of seeds and that of the means of images together, added
    as squares: other images might have been in the test, and training might have begun otherwise.

    Args:
        values: For each seed the values of the test images, as for `resampled_interval`.

    Example:

    >>> values = [np.array([1, 0, 0, 1]), np.array([1, 1, 0, 1])]
    >>> [round(end, 3) for end in fixed_test_interval(values)]
    [0.625, -1.136, 2.386]
    """
    means, of_images = np.mean(values, axis=1), np.mean(values, axis=0)
    halves = [
        student_quantile(len(part) - 1) * math.sqrt(_square_error(part))
        for part in (means, of_images)
    ]
    return _around(means.tolist(), math.hypot(*halves))


@functools.cache
def student_quantile(degrees: int) -> float:
    """How many standard errors about a mean are its 95% interval, by Student's t.

    Args:
        degrees: Degrees of freedom.

    Example:

    >>> round(student_quantile(4), 3)
    2.776
    """
    low, high = 0.0, 1e3
    for _ in range(80):
        middle = (low + high) / 2
        x = tf.constant(degrees / (degrees + middle**2), tf.float64)
        outside = tf.math.betainc(tf.constant(degrees / 2, tf.float64), tf.cast(0.5, tf.float64), x)
        low, high = (middle, high) if outside > 1 - _CONFIDENCE else (low, middle)
    return low


def _square_error(values: np.ndarray) -> float:
    """The square of the standard error of a mean."""
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0


def _around(means: Sequence[float], half: float) -> Interval:
    mean = float(np.mean(means))
    return Interval(mean, mean - half, mean + half)
