"""How good scores are: top-1, top-5 and, where an image has several classes, mean AP."""

from collections.abc import Callable

import numpy as np

from spp_keras import _checks, _extras
from spp_keras.metrics import average_precision


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the images whose class is among the k with the highest scores.

    Of equal scores the class with the lower number comes first.

    Args:
        scores: `(images, classes)`.
        labels: `(images,)` numbers of the right classes.
        k: How many classes count, at most as many as there are.

    Example:

    >>> scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    >>> top_k_accuracy(scores, np.array([1, 1]), 1), top_k_accuracy(scores, np.array([1, 1]), 2)
    (0.5, 1.0)
    """
    classes = scores.shape[1]
    if _checks.at_least(k, 1, "k") > classes:
        raise ValueError(f"`k` must be at most the number of classes, {classes}. Received: k={k}.")
    right = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(classes) < labels[:, None]
    before = (scores > right) | ((scores == right) & earlier)
    return float(np.mean(before.sum(axis=1) < k))


def mean_average_precision(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    rule: str = "area",
) -> float:
    """Mean over the classes of the average precision of images in falling order of their scores.

    A class that no image has does not count.

    Args:
        scores: `(images, classes)`.
        labels: `(images, classes)` of zeros and ones.
        counts: `(images, classes)` bool, which images count for a class. Defaults to
            `None`, all.
        rule: `"area"` for the area under precision and recall, not interpolated, or
            `"11-point"`, VOC 2007's and the paper's, which gives a little more.
            Defaults to `"area"`.

    Example:

    >>> labels = np.array([[1, 0], [0, 0], [1, 0]])
    >>> mean_average_precision(np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.3]]), labels)
    0.8333333333333333
    """
    _checks.one_of(rule, ("area", "11-point"), "rule")
    measure = import_average_precision() if rule == "area" else _eleven_points
    counts = np.ones(labels.shape, bool) if counts is None else counts
    return float(
        np.mean(
            [
                measure(labels[mine, i], scores[mine, i])
                for i, mine in enumerate(counts.T)
                if labels[mine, i].any()
            ]
        )
    )


def import_average_precision() -> Callable[..., float]:
    """What counts average precision; says what to install where it is not there."""
    try:
        from sklearn.metrics import average_precision_score
    except ImportError as error:
        raise ImportError(
            "Mean average precision needs scikit-learn. Install it with: "
            f"{_extras.install_line('detection')}"
        ) from error
    return average_precision_score


def _eleven_points(labels: np.ndarray, scores: np.ndarray) -> float:
    hits = np.cumsum(labels[np.argsort(-scores, kind="stable")], dtype="int64")
    return average_precision.eleven_point_average(
        hits / hits[-1], hits / np.arange(1, len(hits) + 1)
    )
